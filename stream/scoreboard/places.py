"""Where the scoreboard reads: its partitions, how far each may be ahead, and what becomes of places that are gone."""

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.errors import BrokerUnavailable, TopicError
from stream.scoreboard.lanes import Lane, Lanes
from stream.scoreboard.state import ScoreboardState

__all__ = ["Places"]

log = logging.getLogger(__name__)

_ANSWER_S = 10.0
_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


class Places:
    """Of one consumer. `names`: the topics of the clicks and of the lists."""

    def __init__(self, consumer: Consumer, lanes: Lanes, names: tuple[str, str]) -> None:
        self._consumer, self._lanes = consumer, lanes
        self._clicks, self._lists = names
        self._paused: set[tuple[str, int]] = set()

    def begin(self, known: ScoreboardState | None) -> None:
        """Read on from what is known, or from the oldest messages. TopicError, BrokerUnavailable."""
        clicks, lists = ({}, {}) if known is None else (known.next_clicks, known.next_lists)
        self._lanes.add(self._found(self._clicks, clicks), self._found(self._lists, lists))
        self._assign()

    def add_new(self) -> None:
        """Read partitions that were added, too."""
        new = [
            {number: 0 for number in self._numbers(topic, quietly=True) if number not in lanes}
            for topic, lanes in self._by_topic()
        ]
        if not any(new):
            return
        for (topic, _), numbers in zip(self._by_topic(), new, strict=True):
            if numbers:
                log.warning("partitions were added to %s, and are read: %s", topic, ", ".join(map(str, numbers)))
        self._lanes.add(*new)
        self._assign()

    def ends(self, topic: str) -> dict[int, int]:
        """The offset behind the newest message of each partition; BrokerUnavailable."""
        return {number: self._range(topic, number)[1] for number in self._numbers(topic)}

    def behind(self) -> dict[str, int]:
        """Messages that did not go into the join yet, by topic, as far as the client has heard of them."""
        told = {}
        for topic, lanes in self._by_topic():
            left = 0
            for number, lane in lanes.items():
                try:
                    found = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
                except (KafkaException, RuntimeError):  # closed
                    continue
                left += max(0, (found[1] if found else 0) - lane.done)
            told[topic] = left
        return told

    def pace(self, most: int) -> None:
        """Read no further where so many messages wait for the other topic."""
        for topic, lanes in self._by_topic():
            for number, lane in lanes.items():
                key, waiting = (topic, number), len(lane.waiting)
                if waiting > most and key not in self._paused:
                    self._consumer.pause([TopicPartition(*key)])
                    self._paused.add(key)
                elif waiting < most // 2 and key in self._paused:
                    self._consumer.resume([TopicPartition(*key)])
                    self._paused.discard(key)

    def drop_unanswerable(self) -> None:
        """Drop lists that answer clicks which do not exist: of a topic that was made again, or cut."""
        self.add_new()
        dropped = 0
        for number, (partition, offset) in self._lanes.stuck().items():
            end = self._range(self._clicks, partition)[1] if partition in self._lanes.clicks else 0
            while self._lanes.stuck().get(number, (-1, -1))[0] == partition and end <= offset:
                self._lanes.drop_head(number)
                dropped += 1
                offset = self._lanes.stuck().get(number, (partition, -1))[1]
        if dropped:
            log.error(
                "%d lists answer clicks that %s does not have: it was made again, or cut. They count for nothing",
                *(dropped, self._clicks),
            )

    def mend(self, message: Message, error: KafkaError) -> str:
        """What the client says of a partition; in words, where it is trouble. TopicError where it is gone."""
        topic, number = message.topic() or "", message.partition() or 0
        if error.code() == KafkaError._PARTITION_EOF:
            ended = self._lanes.clicks_end if topic == self._clicks else self._lanes.lists_end
            ended(number, message.offset() or 0)
            return ""
        if error.code() in _GONE:
            raise TopicError(f"{topic or 'a topic'} can't be read any more: {error.str()}")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            lanes = dict(self._by_topic())[topic]
            lane = lanes[number]
            try:
                lane.read_to = self._place(topic, number, lane.read_to, known=True)
                return ""
            except BrokerUnavailable as unknown:  # it is asked again: the client finds the place as wrong as before
                return str(unknown)
            finally:
                self._assign()
        return str(error.str())

    def _by_topic(self) -> list[tuple[str, Mapping[int, Lane[Any]]]]:
        return [(self._clicks, self._lanes.clicks), (self._lists, self._lanes.lists)]

    def _assign(self) -> None:
        self._paused.clear()
        self._consumer.assign(
            [
                TopicPartition(topic, number, lane.read_to)
                for topic, lanes in self._by_topic()
                for number, lane in lanes.items()
            ]
        )

    def _found(self, topic: str, known: Mapping[int, int]) -> dict[int, int]:
        return {
            number: self._place(topic, number, known.get(number, 0), known=number in known)
            for number in self._numbers(topic)
        }

    def _place(self, topic: str, number: int, wanted: int, *, known: bool) -> int:
        """Where to read on: messages that are gone are counted."""
        low, high = self._range(topic, number)
        if wanted > high:
            raise TopicError(
                f"{topic}-{number} ends at offset {high}, and the scoreboard has read up to {wanted}: the topic was "
                "made again, or cut. Start the scoreboard with another --state, to count what is there"
            )
        if wanted < low and known:
            log.error(
                "%d messages of %s-%d were removed by retention before they were counted: run the scoreboard "
                "without such long breaks, or raise retention.ms",
                *(low - wanted, topic, number),
            )
            self._lanes.dropped.lost += low - wanted
        return max(wanted, low)

    def _numbers(self, topic: str, *, quietly: bool = False) -> list[int]:
        try:
            found = self._consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic]
        except KafkaException as error:
            if quietly:
                return []
            raise BrokerUnavailable(f"no answer about the topic {topic}: {error.args[0].str()}") from error
        if found.error is not None or not found.partitions:
            if quietly:
                return []
            raise TopicError(f"there is no topic {topic}: a scoreboard reads clicks and lists; is its name right?")
        return [int(number) for number in found.partitions]

    def _range(self, topic: str, number: int) -> tuple[int, int]:
        """The oldest offset, and the one behind the newest; BrokerUnavailable."""
        try:
            found = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_S)
        except KafkaException as error:
            raise BrokerUnavailable(f"{topic} cannot be looked at: {error.args[0].str()}") from error
        if found is None:
            raise BrokerUnavailable(f"{topic} cannot be looked at: no answer within {_ANSWER_S:g} s")
        return int(found[0]), int(found[1])
