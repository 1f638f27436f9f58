"""The way out: what publishers have in common, and the one of at-least-once, a single librdkafka producer.

A batch is handed over as a whole, and one future stands for all its messages. The producer is idempotent, so that
retries neither repeat nor reorder: the state rows of a session must reach the changelog in the order of their batches.
Delivery reports arrive in a thread of our own and wake the event loop once a batch, not once a message. A message that
the broker does not confirm in time fails the batch: nothing of it is acknowledged, and its clicks are read again.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from stream.errors import PublishFailed
from stream.kafka.clients import formatted
from stream.ops.futures import fail
from stream.partition.reading import Partition

__all__ = [
    "DROPPED_HEADERS",
    "TRUNCATED",
    "TRUNCATED_KEY",
    "IdempotentPublisher",
    "Outgoing",
    "Publisher",
    "Receipt",
    "broker_answers",
    "produce",
    "shrink",
    "shrink_large",
]

# Headers of a rejected message that was too large to be copied whole: bytes of its value, of its key, and how many of
# its headers were left out
TRUNCATED, TRUNCATED_KEY, DROPPED_HEADERS = "truncated_from", "truncated_key_from", "dropped_headers"
KEPT_BYTES = 16 * 1024  # of the value, the key and the headers of a message that the broker refuses for its size
_POLL_S = 0.1
_ANSWER_S = 5.0
_RETRY_S = 0.005  # while librdkafka's queue is full


class Outgoing(NamedTuple):
    """A message to publish. `partition` -1 leaves the choice to the partitioner (murmur2 of the key, as Java's)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] | None = None
    partition: int = -1
    tracked: bool = False  # its offset is wanted in the receipt
    shrinkable: bool = False  # may be cut to fit, with a header that says so
    beside: str = ""  # of a list: its placement, by which it is told from others of its key where each is kept


class Receipt(NamedTuple):
    """What the broker confirmed: the highest and the first offset of the batch's tracked messages (-1 without any),
    which go to one partition, and how many there are."""

    tracked_offset: int
    first_tracked: int = -1
    tracked: int = 0


class Publisher(Protocol):
    """How the messages of a batch go out. Used on the event loop, which none of it blocks."""

    async def publish(self, partition: Partition, messages: Sequence[Outgoing]) -> "asyncio.Future[Receipt]":
        """Hand over the messages of a batch of a clicks partition, in order; the future has the receipt when the broker
        has confirmed them all, and raises PublishFailed where it does not."""

    async def take_over(self, partitions: Collection[Partition]) -> Collection[Partition]:
        """These are the clicks partitions to publish for from now on: returns when no one else's messages for them can
        come any more, as far as this guarantee goes that far; those of which nothing known before may be trusted."""

    def withdraw(self, partition: Partition | None = None) -> None:
        """The partition, or all, were given up: what was handed over and is not on its way yet must not be published,
        where that can be helped."""

    def broker_answers(self) -> bool:
        """Ask a broker, and wait for the answer for a few seconds. From any thread."""

    def close(self, timeout_s: float) -> int:
        """Wait for what is under way, then stop; the number of messages or transactions not confirmed in time."""


class _Ticket:
    """Counts the reports of one batch, which arrive one at a time, from the polling thread."""

    def __init__(self, publisher: "IdempotentPublisher", count: int) -> None:
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._left = count
        self._offset = self._first = -1
        self._tracked = 0
        self._error: KafkaError | None = None
        self.future: asyncio.Future[Receipt] = self._loop.create_future()
        if not count:
            self.future.set_result(Receipt(-1))

    def report(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._error = error
        self._count_down()

    def report_tracked(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            offset = message.offset()
            if not self._tracked:  # reports of one partition come in the order of its offsets
                self._first = offset
            self._offset = max(self._offset, offset)
            self._tracked += 1
        self.report(error, message)

    def report_shrinkable(self, original: Outgoing, error: KafkaError | None, message: Any) -> None:
        if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            try:
                self._publisher._produce(shrink(original), self.report)
            except (BufferError, KafkaException):
                pass  # the first refusal counts: the batch fails, and is read again
            else:
                return
        self.report(error, message)

    def _count_down(self) -> None:
        self._left -= 1
        if not self._left:
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self.future.done():  # cancelled, as the worker stops
            return
        if self._error is not None:
            fail(self.future, PublishFailed(f"the broker did not confirm a message: {self._error.str()}"))
        else:
            self.future.set_result(Receipt(self._offset, self._first, self._tracked))


class IdempotentPublisher:
    """At least once. `settings` are librdkafka's, as `stream.kafka.clients.producer_options` gives them."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._producer = formatted(Producer, settings)
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="delivery-reports", daemon=True)
        self._poller.start()

    async def publish(self, partition: Partition, messages: Sequence[Outgoing]) -> "asyncio.Future[Receipt]":
        """Waits while librdkafka's queue is full."""
        ticket = _Ticket(self, len(messages))
        for message in messages:
            report: Callable[..., None] = ticket.report
            if message.tracked:
                report = ticket.report_tracked
            elif message.shrinkable:
                report = partial(ticket.report_shrinkable, message)
            try:
                while not self._try_produce(message, report):
                    await asyncio.sleep(_RETRY_S)
            except PublishFailed as error:  # at once; the reports of the messages before it come to nobody
                refused: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
                fail(refused, error)
                return refused
        return ticket.future

    async def take_over(self, partitions: Collection[Partition]) -> Collection[Partition]:
        """Nothing to be done: a worker that lost a partition may still write, and recovery knows its old rows."""
        return ()

    def withdraw(self, partition: Partition | None = None) -> None:
        """Too late: all is with librdkafka. What comes twice carries its source offset."""

    def broker_answers(self) -> bool:
        return broker_answers(self._producer)

    def close(self, timeout_s: float) -> int:
        self._stopping.set()
        self._poller.join(timeout=10 * _POLL_S)
        return int(self._producer.flush(timeout_s))

    def _try_produce(self, message: Outgoing, report: Callable[..., None]) -> bool:
        try:
            self._produce(message, report)
        except BufferError:
            return False
        except KafkaException as error:
            if not message.shrinkable or error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise PublishFailed(f"a message for {message.topic} was refused: {error}") from error
            return self._try_produce(shrink(message), report)
        return True

    def _produce(self, message: Outgoing, report: Callable[..., None]) -> None:
        produce(self._producer, message, report)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)


def produce(producer: Any, message: Outgoing, report: Callable[..., None] | None) -> None:
    """Hand one message to a confluent producer. By place, and without headers where there are none: with all of them by
    name a call takes nearly twice as long."""
    if message.headers:
        producer.produce(
            message.topic, message.value, message.key, message.partition, report, headers=list(message.headers)
        )
    else:
        producer.produce(message.topic, message.value, message.key, message.partition, report)


def broker_answers(client: Any, timeout_s: float = _ANSWER_S) -> bool:
    """Whether any broker tells a confluent client its topics within so many seconds."""
    try:
        return bool(client.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def shrink_large(message: Outgoing) -> Outgoing:
    """The message, cut if it may be and any part of it is larger than what is kept of that then."""
    parts = (message.value or b"", message.key or b"", *(text or b"" for _, text in message.headers or ()))
    return shrink(message) if message.shrinkable and max(map(len, parts)) > KEPT_BYTES else message


def shrink(message: Outgoing) -> Outgoing:
    """A message that is too large for the broker, cut to a size that every broker takes: value, key and the first
    headers, which are the sender's, with headers that say so."""
    value, key, headers = message.value or b"", message.key, list(message.headers or [])
    cut = [(TRUNCATED, str(len(value)).encode())]
    if key is not None and len(key) > KEPT_BYTES:
        cut.append((TRUNCATED_KEY, str(len(key)).encode()))
        key = key[:KEPT_BYTES]
    dropped = 0
    while sum(len(name) + len(text or b"") for name, text in headers) > KEPT_BYTES:
        del headers[0]
        dropped += 1
    if dropped:
        cut.append((DROPPED_HEADERS, str(dropped).encode()))
    return message._replace(value=value[:KEPT_BYTES], key=key, headers=[*headers, *cut], shrinkable=False)
