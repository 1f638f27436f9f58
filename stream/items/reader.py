"""Reading the compacted topic `items` from its beginning, all partitions, without a group; and what becomes of it.

there is no such topic      `missing`; it is looked for again every second
it was deleted              `missing`, once several looks agree: a broker that just started may know less
it was deleted and made     `remade` counts it, and it is read from the beginning
it has more partitions      these are read as well, and `repartitioned` says so
no broker answers           `trouble`; the client goes on by itself once one does
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.errors import BrokerUnavailable
from stream.kafka.clients import Options, build_client, consumer_options
from stream.kafka.look import Topic, TopicLook

__all__ = ["ItemsReader"]

_MISSING_LOOK_S = 1.0  # between two looks for a topic that is not there, or may not be there any more
_SURE = 3  # looks that must miss a topic that was there
_AT_ONCE = 10_000  # messages
_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
_FETCHING: Options = {
    "enable.partition.eof": True,
    "fetch.message.max.bytes": 4 << 20,
    "queued.max.messages.kbytes": 16 << 10,  # what waits to be taken; the default is four times as much
    "fetch.wait.max.ms": 200,  # so often a broker that has nothing new says so
    "statistics.interval.ms": 250,  # when it last said anything
}


class _Partition(msgspec.Struct):
    leader: int = -1


class _TopicFigures(msgspec.Struct):
    partitions: dict[str, _Partition] = {}


class _BrokerFigures(msgspec.Struct):
    nodeid: int = -1
    rxidle: int = -1  # microseconds since it was last heard of; -1: never


class _Statistics(msgspec.Struct):
    """What is used of librdkafka's statistics (STATISTICS.md)."""

    ts: int = 0  # microseconds of the client's monotonic clock, when they were taken
    time: int = 0  # seconds since the epoch, the same
    brokers: dict[str, _BrokerFigures] = {}
    topics: dict[str, _TopicFigures] = {}


class ItemsReader:
    """For one thread; the broker is not asked before `read`."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        extra: Mapping[str, str] | None = None,
        *,
        look_s: float = 10.0,
        look: Callable[[], Topic | None] | None = None,
    ) -> None:
        """look_s: between two looks at a topic that is there. `look` takes the place of the cluster in tests."""
        self._options = consumer_options(bootstrap_servers, extra) | _FETCHING | {"stats_cb": self._note_heard}
        self._heard_at = 0.0
        self._topic, self._look_s = topic, look_s
        self._consumer: Consumer = build_client(Consumer, self._options)
        at = TopicLook(bootstrap_servers, extra).at if look is None else None
        self._ask = look or (lambda: at([topic]).get(topic) if at else None)
        self._found: Topic | None = None  # as it is read
        self._before: Topic | None = None  # as it was read last
        self._unread: set[int] = set()  # partitions whose end was not reached yet
        self._ends: dict[int, int] = {}  # where the end was, when it was reached: behind the marks of transactions, too
        self._next_look = 0.0
        self._missed = 0
        self._asked = False
        self.missing = False  # whether looks found no such topic
        self.remade = 0
        self.repartitioned = ""
        self.trouble = ""

    @property
    def there(self) -> bool:
        """Whether there is such a topic, as far as is known."""
        return self._found is not None

    @property
    def caught_up(self) -> bool:
        """Whether the end of every partition was reached once, or there is nothing to read."""
        return self._asked and not self._unread

    def known_at(self) -> float:
        """Return the time, of the monotonic clock, at which all that the topic held then had been taken; 0: never."""
        if self._found is None:
            return time.monotonic() if self.missing else 0.0
        return self._heard_at if self.caught_up and self.lag() == 0 else 0.0

    def read(self, timeout_s: float) -> list[Message]:
        """Return the messages that came within `timeout_s`, at most 10,000, in the order of their partitions."""
        now = time.monotonic()
        if now >= self._next_look:
            self._look()
        if self._found is None:
            time.sleep(max(0.0, min(timeout_s, self._next_look - time.monotonic())))
            return []
        return [message for message in self._take(timeout_s) if self._is_sound(message)]

    def lag(self) -> int:
        """Return how many messages are behind the last one taken, as far as the client knows; offsets, so that what was
        compacted away counts too."""
        if self._found is None:
            return 0
        total = 0
        for place in self._consumer.position([TopicPartition(self._topic, n) for n in range(self._found.partitions)]):
            low, high = self._consumer.get_watermark_offsets(place, cached=True)
            if high > 0:
                total += max(0, high - max(place.offset, low, self._ends.get(place.partition, 0)))
        return total

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _take(self, timeout_s: float) -> list[Message]:
        return list(self._consumer.consume(_AT_ONCE, timeout_s))

    def _note_heard(self, statistics: str) -> None:
        """The client's own figures: when the brokers that lead the partitions were last heard of."""
        found = msgspec.json.decode(statistics, type=_Statistics)
        topic = found.topics.get(self._topic)
        leaders = {one.leader for number, one in topic.partitions.items() if number != "-1"} if topic else set()
        idle: dict[int, int] = {}  # of a broker there may be several connections, one of them to its coordinator
        for one in found.brokers.values():
            if one.nodeid in leaders and one.rxidle >= 0:
                idle[one.nodeid] = min(one.rxidle, idle.get(one.nodeid, one.rxidle))
        if leaders and idle.keys() == leaders:
            self._heard_at = _taken_at(found) - max(idle.values()) / 1e6

    def _look(self) -> None:
        try:
            found = self._ask()
        except BrokerUnavailable as error:
            self.trouble = str(error)
            self._next_look = time.monotonic() + _MISSING_LOOK_S
            return
        self.trouble = ""
        self._missed = self._missed + 1 if found is None else 0
        if found is None:
            self._note_missing()
        elif self._found is None or _is_another(self._found, found):
            self._begin(found)
        elif found.partitions > self._found.partitions:
            self._read_more(found)
        self._asked = True
        wait = self._look_s if found is not None else _MISSING_LOOK_S
        self._next_look = time.monotonic() + wait

    def _note_missing(self) -> None:
        if self._found is None or self._missed >= _SURE:
            if self._found is not None:
                self._consumer.unassign()
            self._before, self._found = self._found or self._before, None
            self._unread, self.missing = set(), True

    def _begin(self, found: Topic) -> None:
        """Read from the beginning, with a client that knows nothing of a topic of the same name before."""
        before = self._found or self._before
        if before is not None:
            self.remade += before.identity is None or before.identity != found.identity
            self._consumer.close()
            self._consumer = build_client(Consumer, self._options)
        self._found, self._before, self.missing = found, None, False
        self._unread, self._ends = set(range(found.partitions)), {}
        self._consumer.assign(self._first_places(found.partitions))

    def _read_more(self, found: Topic) -> None:
        assert self._found is not None, "it is read already"
        had = self._found.partitions
        self._consumer.incremental_assign(self._places(had, found.partitions))
        self._unread |= set(range(had, found.partitions))
        self.repartitioned = f"{self._topic} has {found.partitions} partitions, and had {had}"
        self._found = found

    def _first_places(self, partitions: int) -> list[TopicPartition]:
        """Where a topic is begun; what was added to it later is read from its beginning."""
        return self._places(0, partitions)

    def _places(self, start: int, end: int) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in range(start, end)]

    def _is_sound(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._unread.discard(message.partition() or 0)
            self._ends[message.partition() or 0] = message.offset() or 0
        elif error.code() in _GONE:
            self._next_look = min(self._next_look, time.monotonic() + _MISSING_LOOK_S)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self.trouble = f"{self._topic} can't be read: {error.str()}"
            self._next_look = min(self._next_look, time.monotonic() + _MISSING_LOOK_S)
        return False


def _taken_at(found: _Statistics) -> float:
    """Return the time of our monotonic clock at which figures were taken: they may lie around, as in a process that was
    stopped, before we hear of them."""
    now = time.monotonic()
    if now - 86_400 < found.ts / 1e6 < now + 1:
        return min(now, found.ts / 1e6)
    return now - max(0.0, time.time() - found.time)  # a client whose clock is another one


def _is_another(before: Topic, now: Topic) -> bool:
    return None not in (before.identity, now.identity) and before.identity != now.identity
