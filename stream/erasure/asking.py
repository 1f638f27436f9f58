"""Asking for sessions to be erased, and hearing who has done it.

The wish goes to the clicks, under the session's key, so that it stands behind all that the session did. The worker says
that it is done by the record that takes the lists back; the other parts on the topic `erasures`, where there is one.
Which parts there are nobody knows: expected is the worker, who has said so of earlier sessions, and who is named.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from stream.errors import BrokerUnavailable, PublishFailed, TopicError
from stream.kafka.clients import build_client, consumer_options, prepare_format, producer_options
from stream.messages.contract import Erase, encode
from stream.messages.erasures import decode_erased, decode_erasure
from stream.topic_names import Topics

__all__ = ["WORKER", "Asked", "Asking", "Confirmation"]

WORKER = "worker"
_ANSWER_S = 10.0
_LOOK_BACK = 5_000  # messages of the topic erasures that tell which parts there are
_FIRST_S = 15.0  # how long others are waited for behind the worker, where nobody has ever said anything
_PAUSE_S = 0.2


class Confirmation(msgspec.Struct, frozen=True):
    """What a part has erased of a session."""

    part: str
    host: str  # empty: not said
    erased: dict[str, int]


class Asked(msgspec.Struct):
    """A wish that the broker has."""

    session_id: str
    partition: int
    offset: int
    confirmed: list[Confirmation] = []
    missing: list[str] = []  # parts that are expected to erase it, and have not said so

    def heard(self, confirmation: Confirmation) -> None:
        """A part has done it; what comes twice counts once."""
        if confirmation not in self.confirmed:
            self.confirmed.append(confirmation)


class Asking:
    """For one thread: `begin`, `ask`, `wait`, and `close`."""

    def __init__(self, bootstrap_servers: str, topics: Topics, extra: Mapping[str, str] | None = None) -> None:
        self._servers, self._topics, self._extra = bootstrap_servers, topics, extra
        options = consumer_options(bootstrap_servers, extra, group="nextclick-erase")
        options |= {"isolation.level": "read_committed", "enable.partition.eof": True}
        self._consumer: Consumer = build_client(Consumer, options)
        self.known: set[str] = set()  # parts that have erased sessions before
        self.has_erasures = False  # whether parts but the workers can say so
        self.partitions = 0  # of the clicks
        self.asked: list[Asked] = []

    def begin(self) -> None:
        """Hear what is said from now on. TopicError where there are no topics to ask and to listen on;
        BrokerUnavailable."""
        prepare_format(self._extra, self._topics.clicks)
        try:
            there = self._consumer.list_topics(timeout=_ANSWER_S).topics
            for name in (self._topics.clicks, self._topics.recommendations):
                if name not in there:
                    options = f"--bootstrap-servers HOST{self._topics.as_options()}"
                    raise TopicError(f"there is no topic {name}; `nextclick topics create {options}` makes it")
            self.partitions = len(there[self._topics.clicks].partitions)
            self.has_erasures = self._topics.erasures in there
            lists = self._ends(self._topics.recommendations, list(there[self._topics.recommendations].partitions))
            if self.has_erasures:
                self._read_back(self._ends(self._topics.erasures, list(there[self._topics.erasures].partitions)))
            self._consumer.incremental_assign(lists)
        except KafkaException as error:
            raise BrokerUnavailable(f"the topics cannot be looked at: {error.args[0].str()}") from error

    def ask(self, wishes: Sequence[tuple[str, int]], *, timeout_s: float = 30.0) -> None:
        """Send wishes, (session, partition; -1: that of its key), and return once the broker has all. PublishFailed."""
        producer: Producer = build_client(
            Producer, producer_options(self._servers, self._extra, delivery_timeout_s=timeout_s)
        )
        failed: list[str] = []

        def delivered(session: str, error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error.str())
            else:
                self.asked.append(Asked(session, message.partition() or 0, message.offset() or 0))

        ts = time.time_ns() // 1_000_000
        for session, partition in wishes:
            value, report = encode(Erase(session, ts)), partial(delivered, session)
            while True:
                try:
                    producer.produce(self._topics.clicks, value, session.encode(), partition, on_delivery=report)
                    break
                except BufferError:
                    producer.poll(_PAUSE_S)
                except KafkaException as error:
                    failed.append(error.args[0].str())
                    break
        left = producer.flush(timeout_s + 1.0)
        if failed or left:
            why = failed[0] if failed else f"no broker took it within {timeout_s:g} s"
            lost = len(failed) + left
            raise PublishFailed(
                f"{lost} of {len(wishes)} sessions were not asked to be erased: {why}. It may be repeated"
            )

    def wait(self, expected: Collection[str], timeout_s: float) -> bool:
        """Whether every expected part has erased every session, within so many seconds; who has not is noted."""
        deadline = first = time.monotonic() + timeout_s
        unknown = self.has_erasures and not self.known and set(expected) <= {WORKER}
        while (now := time.monotonic()) < deadline:
            if not self._missing(expected):
                if not unknown or now > first:
                    break
                first = min(first, now + _FIRST_S)
            for message in self._consumer.consume(500, _PAUSE_S):
                self._take(message)
        return not self._missing(expected)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _missing(self, expected: Collection[str]) -> bool:
        for one in self.asked:
            one.missing = sorted(set(expected) - {said.part for said in one.confirmed})
        return any(one.missing for one in self.asked)

    def _take(self, message: Message) -> None:
        if message.error() is not None:
            return
        if message.topic() == self._topics.erasures:
            said = decode_erasure(message.value())
            if said is None:
                return
            self.known.add(said.part)
            for one in self.asked:
                source = said.source
                if source.topic == self._topics.clicks and (source.partition, source.offset) == _place(one):
                    one.heard(Confirmation(said.part, said.host, said.erased))
        elif message.value() is None and (erased := decode_erased(message.headers())) is not None:
            key, source = message.key() or b"", erased.source
            for one in self.asked:  # a wish of later says what was erased before it, too
                if key == one.session_id.encode() and source.partition == one.partition and source.offset >= one.offset:
                    one.heard(Confirmation(WORKER, "", {"clicks of its state": erased.clicks}))

    def _ends(self, topic: str, partitions: Sequence[int]) -> list[TopicPartition]:
        places = []
        for number in partitions:
            _, high = self._range(topic, number)
            places.append(TopicPartition(topic, number, high))
        return places

    def _range(self, topic: str, number: int) -> tuple[int, int]:
        found: Any = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_S)
        if found is None:
            raise BrokerUnavailable(f"{topic} cannot be looked at: no answer within {_ANSWER_S:g} s")
        return int(found[0]), int(found[1])

    def _read_back(self, ends: Sequence[TopicPartition]) -> None:
        """Read what was said before, to know the parts."""
        begins = []
        for end in ends:
            low, high = self._range(end.topic, end.partition)
            begins.append(TopicPartition(end.topic, end.partition, max(low, high - _LOOK_BACK)))
        self._consumer.assign(begins)
        left, deadline = {end.partition for end in ends}, time.monotonic() + _ANSWER_S
        while left and time.monotonic() < deadline:
            for message in self._consumer.consume(500, _PAUSE_S):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition() or 0)
                self._take(message)


def _place(asked: Asked) -> tuple[int, int]:
    return asked.partition, asked.offset
