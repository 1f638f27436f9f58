"""The storefront's side of the tests: clicks in by a plain producer, everything that came out by a plain consumer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bench.rig.brokers.process import wait_for
from stream.messages.contract import Click, Recommendation, decode_recommendation, encode
from stream.messages.erasures import ErasedLists, decode_erased

__all__ = ["Flow", "Lists", "Sent", "Storefront", "Tail", "now_ms", "read_topic"]


class Sent(NamedTuple):
    """A click the broker has confirmed."""

    click: Click
    partition: int
    offset: int
    record_ms: int  # the record's timestamp


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Storefront:
    """Produces clicks; `sent` holds those confirmed, in the order of their confirmation. Safe to use from threads."""

    def __init__(
        self,
        bootstrap: str,
        compression: str = "none",
        transactional_id: str | None = None,
        *,
        topic: str = "clicks",
    ) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        transactional = {"transactional.id": transactional_id, "transaction.timeout.ms": 120_000}
        self.sent: list[Sent] = []
        self.failed: list[str] = []
        self._unplaced: list[tuple[Click, int]] = []  # confirmed in a partition, at an offset that was not told
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 2,
                "enable.idempotence": True,
                "message.timeout.ms": 120_000,  # a broker that restarts on a busy machine takes its time
                "compression.type": compression,
                "log_level": 0,
                **(transactional if transactional_id else {}),
            }
        )
        if transactional_id:
            self._producer.init_transactions(30)

    def click(
        self, session_id: str, item_id: str, ts: int | None = None, kind: Any = "click", user: str | None = None
    ) -> None:
        """Send one click; `flush` confirms it."""
        click = Click(session_id, item_id, now_ms() if ts is None else ts, kind, user)
        self._producer.produce(self._topic, encode(click), session_id.encode(), on_delivery=self._delivered(click))
        self._producer.poll(0)

    def refresh(self) -> None:
        """See partitions that were added: a producer asks for them every five minutes only."""
        self._producer.list_topics(self._topic, timeout=10)

    def raw(
        self, value: bytes | None, key: bytes | None, headers: Sequence[tuple[str, bytes]] = (), partition: int = 0
    ) -> None:
        """Send what may be no click at all."""
        self._producer.produce(self._topic, value, key, headers=list(headers), partition=partition)
        self._producer.poll(0)

    @contextlib.contextmanager
    def transaction(self, *, commit: bool = True) -> Generator[None]:
        """The clicks of the block appear together, or, where it is aborted, never."""
        sent = len(self.sent)
        self._producer.begin_transaction()
        yield
        self.flush()
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.abort_transaction(30)
            del self.sent[sent:]

    def flush(self) -> None:
        """Return when all that was sent is confirmed."""
        assert self._producer.flush(130) == 0, "the broker did not confirm the clicks"
        assert not self.failed, self.failed[:3]
        if self._unplaced:
            self._place()

    def _place(self) -> None:
        """Find the clicks whose offset the broker did not tell: it had them already when they came again."""
        known = {(one.partition, one.offset) for one in self.sent}
        there = [message for message in read_topic(self._bootstrap, self._topic) if message.value() is not None]
        for click, partition in self._unplaced:
            found = next(
                message
                for message in there
                if message.partition() == partition
                and (partition, message.offset()) not in known
                and message.value() == encode(click)
            )
            offset = found.offset()
            assert offset is not None
            known.add((partition, offset))
            self.sent.append(Sent(click, partition, offset, found.timestamp()[1]))
        self._unplaced.clear()

    def _delivered(self, click: Click) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failed.append(error.str())
                return
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            if offset is None:
                self._unplaced.append((click, partition))
                return
            self.sent.append(Sent(click, partition, offset, message.timestamp()[1]))

        return report


class Flow:
    """Clicks at a steady rate from a thread of its own, until the block ends; then all are confirmed.

    Session n of `sessions` clicks on items by a fixed rule, so that every run sends the same clicks.
    """

    def __init__(self, storefront: Storefront, *, rate: float, sessions: int, items: int, prefix: str = "s") -> None:
        self._storefront, self._rate, self._sessions, self._items = storefront, rate, sessions, items
        self._prefix = prefix
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)
        self._storefront.flush()

    def confirmed(self, more: int) -> None:
        """Return when `more` clicks than now are confirmed."""
        goal = len(self._storefront.sent) + more
        wait_for(f"{more} more clicks to be confirmed", lambda: len(self._storefront.sent) >= goal, 90)

    def _run(self) -> None:
        begun, number = time.monotonic(), 0
        while not self._ended.is_set():
            due = int((time.monotonic() - begun) * self._rate)
            for place in range(number, due):
                session = place * 7919 % self._sessions
                item = (place * 31 + session * 17) % self._items + 1
                self._storefront.click(f"{self._prefix}{session}", f"item-{item}")
            number = max(number, due)
            self._ended.wait(0.005)


class Tail:
    """A topic read from its beginning, on and on, in order within each partition; `committed` hides what is not."""

    def __init__(self, bootstrap: str, topic: str, *, committed: bool = False) -> None:
        self.topic = topic
        self._options = {
            "bootstrap.servers": bootstrap,
            "group.id": "it-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
            "socket.timeout.ms": 5000,  # brokers come and go here
            "reconnect.backoff.max.ms": 500,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.partition.eof": True,
            "log_level": 0,
        }
        self._consumer, self._asker = Consumer(self._options), Consumer(self._options)
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._places = dict.fromkeys(partitions, 0)  # read up to here
        self._heard = time.monotonic()
        self._assign()

    def read(self, timeout_s: float = 0.1) -> list[Message]:
        """What came next, after `timeout_s` at the latest."""
        found: list[Message] = []
        for message in self._consumer.consume(1000, timeout_s):
            error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
            if error is None:
                self._places[partition] = offset + 1
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # behind the markers of transactions too
                self._places[partition] = offset
        if found:
            self._heard = time.monotonic()
        return found

    def expect(self) -> None:
        """From now on something should come."""
        self._heard = time.monotonic()

    def rouse(self, patience_s: float = 10.0) -> None:
        """Make way for a new client where nothing was read for so long since `expect`: after a restart of the broker
        one may know of no leader for minutes."""
        if time.monotonic() - self._heard > patience_s:
            self._consumer.close()
            self._consumer = Consumer(self._options)
            self._assign()
            self.expect()

    def grow(self) -> None:
        """Read partitions that were added, too."""
        found = self._asker.list_topics(self.topic, timeout=10).topics[self.topic].partitions
        self._places = {number: self._places.get(number, 0) for number in found}
        self._assign()

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(self.topic, number, place) for number, place in self._places.items()])

    def read_to_end(self, deadline_s: float = 60.0, *, patience_s: float = 10.0) -> list[Message]:
        """All up to the present end. A client that reads nothing for `patience_s` makes way for a new one."""
        ends = {p: wait_for(f"the end of {self.topic}-{p}", partial(self._end, p), 30) - 1 for p in self._places}
        found: list[Message] = []
        end = time.monotonic() + deadline_s
        self.expect()
        while behind := [p for p, place in self._places.items() if place < ends[p]]:
            assert time.monotonic() < end, f"partitions {behind} of {self.topic} were not read to their end"
            found += self.read()
            self.rouse(patience_s)
        return found

    def _end(self, partition: int) -> int | None:
        """One more than the offset to be read up to (0 where nothing is left to be read); None without an answer."""
        with contextlib.suppress(KafkaException):
            found = self._asker.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=5)
            if found is not None:
                return 1 + (int(found[1]) if found[1] > found[0] else 0)
        self._asker.close()  # after a restart of the broker a client may know of no leader for minutes; a new one does
        self._asker = Consumer(self._options)
        return None

    def close(self) -> None:
        self._consumer.close()
        self._asker.close()


class Lists:
    """Everything on the topic `recommendations` so far, in the order it was read; call `poll` to read on."""

    def __init__(self, bootstrap: str, topic: str = "recommendations", *, committed: bool = False) -> None:
        self.all: list[Recommendation] = []
        self.last: dict[str, Recommendation] = {}
        self.erased: dict[str, ErasedLists | None] = {}  # sessions whose lists were taken back, and what that said
        self._tail = Tail(bootstrap, topic, committed=committed)

    def poll(self, timeout_s: float = 0.1) -> None:
        for message in self._tail.read(timeout_s):
            value = message.value()
            if value is None:
                self.erased[(message.key() or b"").decode()] = decode_erased(message.headers())
                self.last.pop((message.key() or b"").decode(), None)
                continue
            found = decode_recommendation(value)
            assert message.key() == found.session_id.encode(), "the key of a recommendation is its session"
            self.all.append(found)
            self.last[found.session_id] = found

    def await_answers(self, sent: Iterable[Sent], deadline_s: float = 45.0) -> None:
        """Read until the newest click of every session is answered; names the unanswered ones otherwise."""
        newest = {one.click.session_id: one for one in sorted(sent, key=lambda one: one.offset)}

        def unanswered() -> list[str]:
            found = self.last
            return [name for name, one in newest.items() if name not in found or found[name].source.offset < one.offset]

        end = time.monotonic() + deadline_s
        self._tail.expect()
        while left := unanswered():
            assert time.monotonic() < end, f"{len(left)} of {len(newest)} sessions unanswered: {left[:5]}"
            self.poll()
            self._tail.rouse()

    def read_on(self, quiet_s: float = 1.0) -> None:
        """Read until nothing came for `quiet_s`: repeats and late messages, if there are any."""
        count, since = len(self.all), time.monotonic()
        while time.monotonic() - since < quiet_s:
            self.poll()
            if len(self.all) != count:
                count, since = len(self.all), time.monotonic()

    def close(self) -> None:
        self._tail.close()


def read_topic(bootstrap: str, topic: str, *, committed: bool = False) -> list[Message]:
    """Every message of a topic, or every committed one, up to its present end, in order within each partition."""
    tail = Tail(bootstrap, topic, committed=committed)
    try:
        return tail.read_to_end()
    finally:
        tail.close()
