"""The line of one partition: a transactional producer, and the thread that its blocking calls are made in.

What it does with batches, and when it gives its producer up, is told in `stream.guarantee.transactions`.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from stream.errors import Fenced, PublishFailed
from stream.guarantee.publisher import Outgoing, Receipt, produce, shrink, shrink_large
from stream.kafka.clients import formatted
from stream.ops.futures import fail
from stream.partition.positions import OWNER_KEY

__all__ = ["TransactionLine", "TransactionObserver"]

log = logging.getLogger(__name__)

_STEP_S = 2.0  # of one blocking call; where the broker needs longer, the call is repeated
_ATTEMPTS = 5  # to take a partition over: another worker may be at it, too
_PAUSE_S = 0.2
# A producer that waits while the broker answers others has lost its way in librdkafka, after an outage under load
_STUCK_S = 20.0
_FULL_S = 0.05  # a wait for room in librdkafka's queue
# Between two transactions: the broker shows the last one after it has answered, and refuses what begins sooner;
# librdkafka then asks again after 20 ms. Without a rest that hits one of six at 1,000 clicks/s. A broker that took
# longer to answer takes longer to show it, too, and is helped by fewer and larger transactions
_REST_S, _LONGEST_REST_S = 0.005, 0.012


class TransactionObserver(Protocol):
    """Who counts transactions. Called in the partitions' threads."""

    def transaction(self, outcome: str) -> None:
        """One is decided: `committed` or `aborted`; or `fenced`, and someone else decides it."""


class _Batch(NamedTuple):
    messages: Sequence[Outgoing]
    serial: int  # of the line when the batch was handed over
    future: "asyncio.Future[Receipt]"


class _TakeOver(NamedTuple):
    future: "asyncio.Future[None]"


class _Stuck(Exception):
    """The broker answers others, and not this producer."""


class TransactionLine:
    """One partition's producer and its thread. `serial` counts the withdrawals, on the event loop. `broker_answers`
    asks with another client, and is called in the thread."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        changelog: str,
        partition: int,
        observer: TransactionObserver,
        broker_answers: Callable[[], bool],
    ) -> None:
        self._settings, self._changelog, self._partition, self._observer = settings, changelog, partition, observer
        self._broker_answers = broker_answers
        self._name = str(settings["transactional.id"])
        self.serial = 0
        self._failed = -1  # the serial under which the last transaction failed
        self._cut = False  # whatever is large and may be cut: the broker refused such a message in the last transaction
        self._producer: Any = None  # while it has its place
        self.is_new = False  # the producer, and nobody was told yet
        self._queue: SimpleQueue[_Batch | _TakeOver | None] = SimpleQueue()
        self._closing = threading.Event()
        self._rest_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def put(self, messages: Sequence[Outgoing], future: "asyncio.Future[Receipt]") -> None:
        """A batch; what becomes of it is told to `future`."""
        self._queue.put(_Batch(messages, self.serial, future))

    async def take_over(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_TakeOver(future))
        await future

    def close(self) -> None:
        """End the thread after the transaction in work, which is no longer waited for where the broker is away."""
        self._closing.set()
        self._queue.put(None)

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended."""
        self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    # -- in the thread --

    def _run(self) -> None:
        while not self._closing.is_set():
            waiting = [self._queue.get()]
            time.sleep(max(self._rest_until - time.monotonic(), 0))
            while not self._queue.empty():  # this thread is the only one that takes
                waiting.append(self._queue.get())
            for _, group in groupby(waiting, type):
                items = list(group)
                self._publish([item for item in items if isinstance(item, _Batch)])
                for item in items:
                    if isinstance(item, _TakeOver):
                        self._tell(item.future, self._acquire)
        self._refuse_the_rest()
        self._producer = None  # here, as closing it may take a moment

    def _refuse_the_rest(self) -> None:
        """What came while the last transaction took its time: somebody waits for each of them."""
        gone = PublishFailed(f"{self._name} is no longer of this worker")
        while not self._queue.empty():
            item = self._queue.get()
            if item is not None:
                self._tell(item.future, partial(_raise, gone))

    def _acquire(self) -> None:
        """Have a producer with the place of this partition, and a first transaction of it."""
        for attempt in range(1, _ATTEMPTS + 1):
            if self._producer is not None:
                return
            self._start()
            opening = Outgoing(self._changelog, OWNER_KEY, b"%d" % (time.time() * 1000), None, self._partition)
            try:
                self._transact([[opening]])
                self.is_new = True
            except PublishFailed:
                if attempt == _ATTEMPTS or self._closing.wait(_PAUSE_S):
                    raise

    def _start(self) -> None:
        try:
            producer = formatted(Producer, self._settings)  # where tokens are shown, it waits for the first one
            self._repeat(producer.init_transactions)
        except (KafkaException, _Stuck) as error:
            raise PublishFailed(f"the broker allows no transactions to {self._name}: {_words(error)}") from error
        self._producer = producer

    def _publish(self, batches: list[_Batch]) -> None:
        """Those that still count in one transaction; the receipts say what became of it."""
        sound, serial = [], self.serial
        for batch in batches:
            if batch.serial == serial != self._failed:
                sound.append(batch)
            else:
                self._tell(batch.future, partial(_raise, PublishFailed("an earlier batch of it was not published")))
        if not sound:
            return
        error: Exception | None = None
        try:
            offsets = self._transact([batch.messages for batch in sound])
        except Exception as raised:
            error = type(raised)(*raised.args)  # without the frames, which hold the producer
        if error is None:
            self._cut = False
            self._observer.transaction("committed")
            for batch, offset in zip(sound, offsets, strict=True):
                self._tell(batch.future, partial(Receipt, offset))
            return
        self._failed = serial
        self._observer.transaction("fenced" if isinstance(error, Fenced) else "aborted")
        for batch in sound:
            self._tell(batch.future, partial(_raise, error))

    def _transact(self, batches: list[Sequence[Outgoing]]) -> list[int]:
        """Commit all; the highest offset of each batch's tracked messages. Raises PublishFailed, or Fenced."""
        if self._cut:
            batches = [[shrink_large(message) for message in messages] for messages in batches]
        while True:
            if self._producer is None:
                raise Fenced(f"{self._name} has no producer, and was not taken over anew")
            attempt = _Attempt(batches)
            try:
                self._producer.begin_transaction()
                for produce in attempt.calls(self._producer):
                    self._with_room(produce)
                asked = time.monotonic()
                self._repeat(self._producer.commit_transaction)
            except _Stuck as error:
                self._producer = None
                raise Fenced(f"{self._name} is undecided, and a new producer takes its place: {error}") from error
            except KafkaException as error:
                self._abort(error)
                if not attempt.too_large:
                    self._producer = None
                    raise PublishFailed(f"a transaction of {self._name} was aborted: {_words(error)}") from error
                self._cut = True  # where the next try fails, too: librdkafka counts wrongly after several refusals
                batches = attempt.shrunk()
            else:
                now = time.monotonic()
                self._rest_until = now + _rest_s(now - asked)
                return attempt.offsets

    def _abort(self, error: KafkaException) -> None:
        """Returns when the broker has forgotten the transaction; raises Fenced where that cannot be had."""
        try:
            if error.args[0].fatal():
                raise error
            self._repeat(self._producer.abort_transaction)
        except (KafkaException, _Stuck) as reason:
            self._producer = None
            raise Fenced(f"{self._name} was taken over, or is undecided: {_words(reason)}") from reason

    def _repeat(self, call: Callable[[float], None]) -> None:
        """Call until the broker has answered: its restart must not decide over a transaction. _Stuck where it answers
        others meanwhile."""
        since: float | None = None
        while True:
            try:
                call(_STEP_S)
            except KafkaException as error:
                if not error.args[0].retriable() or self._closing.is_set():
                    raise
                if since is None:
                    log.warning("%s waits for the broker: %s", self._name, _words(error))
                if since is None or not self._broker_answers():
                    since = time.monotonic()
                elif time.monotonic() - since > _STUCK_S:
                    raise _Stuck(f"the broker answers others, and not it within {_STUCK_S:g} s") from error
            else:
                return

    def _with_room(self, produce: Callable[[], None]) -> None:
        while True:
            try:
                produce()
            except BufferError:
                self._producer.poll(_FULL_S)
            else:
                return

    def _tell(self, future: "asyncio.Future[Any]", outcome: Callable[[], Any]) -> None:
        """Run `outcome` here, and give what it returns or raises to the future there."""
        try:
            result, error = outcome(), None
        except Exception as raised:
            result, error = None, raised
        try:
            self._loop.call_soon_threadsafe(_resolve, future, result, error)
        except RuntimeError:
            log.debug("the event loop has ended before a transaction")


class _Attempt:
    """One try to get batches into a transaction: what its delivery reports say."""

    def __init__(self, batches: list[Sequence[Outgoing]]) -> None:
        self._batches = batches
        self.offsets = [-1] * len(batches)
        self.too_large: set[int] = set()  # identities of messages that the broker refused for their size

    def calls(self, producer: Any) -> Any:
        """A call for each message, in order. Only few are reported: the commit fails if any of them does."""
        for number, messages in enumerate(self._batches):
            last = max((place for place, message in enumerate(messages) if message.tracked), default=-1)
            for place, message in enumerate(messages):
                report: Callable[..., None] | None = None
                if place == last:
                    report = partial(self._report_tracked, number)
                elif message.shrinkable:
                    report = partial(self._report_shrinkable, message)
                yield partial(self._produce, producer, message, report)

    def shrunk(self) -> list[Sequence[Outgoing]]:
        """The batches with the messages cut that were too large."""
        return [[shrink(m) if id(m) in self.too_large else m for m in messages] for messages in self._batches]

    def _produce(self, producer: Any, message: Outgoing, report: Callable[..., None] | None) -> None:
        try:
            produce(producer, message, report)
        except KafkaException as error:
            if message.shrinkable and error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self._produce(producer, shrink(message), None)
            else:
                raise

    def _report_tracked(self, number: int, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.offsets[number] = message.offset()

    def _report_shrinkable(self, original: Outgoing, error: KafkaError | None, message: Any) -> None:
        if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.too_large.add(id(original))


def _rest_s(commit_s: float) -> float:
    return max(_REST_S, min(commit_s, _LONGEST_REST_S))


def _raise(error: Exception) -> None:
    raise error


def _resolve(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():  # cancelled, as the worker stops or the group changes again
        return
    if error is not None:
        fail(future, error)
    else:
        future.set_result(result)


def _words(error: KafkaException | _Stuck) -> str:
    return str(error) if isinstance(error, _Stuck) else str(error.args[0].str())
