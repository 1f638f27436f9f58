"""The topic of the clicks, read as columns from offsets that the reader keeps, by the rules of the workers."""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition

from export.events import NEGATIVES
from stream.errors import BadClick, BrokerUnavailable, TopicError
from stream.formats.away import REMEDY, reading_waits
from stream.kafka.clients import build_client, consumer_options
from stream.kafka.in_process import is_in_process
from stream.kafka.topics import build_admin
from stream.messages.contract import Erase, decode_event
from stream.ops.problems import Problems

__all__ = ["Clicks", "ClicksFeed", "Forgotten"]

log = logging.getLogger(__name__)

_AT_ONCE = 10_000  # messages of one call of the client
_ANSWER_S = 10.0
_FORGOTTEN = 10_000  # sessions that were erased last: what is said of them later, of a time before, is left out
_NO_IDENTITY = "AAAAAAAAAAAAAAAAAAAAAA"  # of a broker that knows of none


class Forgotten(NamedTuple):
    """A session that is to be erased, up to this place."""

    session_id: str
    partition: int
    offset: int


@dataclass(slots=True)
class Clicks:
    """Usable clicks as columns, in the order they were read, and what else there was. Those of a session before its
    erase are not among them."""

    session_id: list[str] = field(default_factory=list)
    item_id: list[str] = field(default_factory=list)
    timestamp: list[int] = field(default_factory=list)  # ms since the epoch
    type: list[str] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)  # by partition, behind what was read
    rejected: Counter[str] = field(default_factory=Counter)  # reason -> messages that workers reject as well
    erased: list[Forgotten] = field(default_factory=list)
    left_out: int = 0  # clicks that were erased as soon as they were read

    def erase(self, name: str) -> None:
        """Leave out what was read of a session so far."""
        kept = [place for place, session in enumerate(self.session_id) if session != name]
        self.left_out += len(self.session_id) - len(kept)
        columns: list[list[Any]] = [self.session_id, self.item_id, self.timestamp, self.type]
        for column in columns:
            column[:] = [column[place] for place in kept]


class ClicksFeed:
    """One reader, for one thread. It commits nothing: the offsets are its owner's."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        extra: Mapping[str, str] | None = None,
        problems: Problems | None = None,
    ) -> None:
        """`problems` hear of a schema registry that is away, and has clicks wait."""
        options = consumer_options(bootstrap_servers, extra, group="nextclick-trainer-clicks")
        options |= {"isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "error"}
        self._servers, self.topic, self._extra = bootstrap_servers, topic, extra
        self._consumer: Consumer = build_client(Consumer, options)
        self._problems = problems or Problems()
        self._admin: Any = build_admin(bootstrap_servers, extra or {})
        self.lost = 0  # clicks that retention removed before they were read
        self._next: dict[int, int] = {}
        self._forgotten: OrderedDict[str, int] = OrderedDict()  # session -> when its erase was asked for

    def identity(self) -> str | None:
        """The topic's, None where the cluster tells none. TopicError where there is none; BrokerUnavailable."""
        try:
            cluster = self._consumer.list_topics(self.topic, timeout=_ANSWER_S)
            found = cluster.topics[self.topic]
            if found.error is not None:
                raise TopicError(f"there is no topic {self.topic}; `nextclick topics create` makes it")
            if is_in_process(cluster.cluster_id):
                return None
            answer = self._admin.describe_topics(TopicCollection([self.topic]), request_timeout=_ANSWER_S)
            identity = str(answer[self.topic].result(_ANSWER_S).topic_id)
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._UNSUPPORTED_FEATURE, KafkaError._TIMED_OUT):
                return None  # an old one
            raise BrokerUnavailable(f"{self.topic} cannot be looked at: {error.args[0].str()}") from error
        except TimeoutError:
            return None
        return None if identity == _NO_IDENTITY else identity

    def start(self, next_offsets: Mapping[int, int]) -> None:
        """Read on from these offsets; partitions without one from their oldest click. Clicks that are gone are counted
        and said. TopicError where the log ends before an offset: it is of another topic."""
        self._next.clear()
        ranges = self._ranges()
        for number, (low, high) in ranges.items():
            begin = next_offsets.get(number, low)
            self._refuse_beyond(number, begin, high)
            if begin < low and number in next_offsets:
                self._note_lost(number, begin, low)
            self._next[number] = max(begin, low)
        self._assign()

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(self.topic, *place) for place in self._next.items()])

    def read(self, timeout_s: float, most: int = _AT_ONCE) -> Clicks:
        """What there is, up to `most` messages; empty after `timeout_s` without any."""
        found, gone = Clicks(), list[int]()
        sessions, items, times, types = found.session_id, found.item_id, found.timestamp, found.type
        for message in self._consumer.consume(min(most, _AT_ONCE), timeout_s):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # behind the markers of transactions
                number, offset = message.partition() or 0, message.offset() or 0
                self._next[number] = max(self._next.get(number, 0), offset)
                continue
            if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
                gone.append(message.partition() or 0)
                continue
            if error is not None:
                if error.fatal() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
                    raise TopicError(f"{self.topic} can't be read any more: {error.str()}")
                continue
            number, offset = message.partition() or 0, message.offset() or 0
            self._next[number] = offset + 1
            try:
                click = decode_event(message.value(), message.key(), message.timestamp()[1])
            except BadClick as reason:
                found.rejected[reason.reason] += 1
                continue
            if isinstance(click, Erase):
                self._forget(found, Forgotten(click.session_id, number, offset), click.ts)
                continue
            if click.type in NEGATIVES and click.ts <= self._forgotten.get(click.session_id, -1):
                found.left_out += 1  # of a service that was behind: it is about what was erased
                continue
            sessions.append(click.session_id)
            items.append(click.item_id)
            times.append(click.ts)
            types.append(click.type)
        if gone:  # behind all that was read before
            self._go_on(gone)
        found.next_offsets = dict(self._next)
        self._say_waiting()
        return found

    def _refuse_beyond(self, number: int, begin: int, high: int) -> None:
        if begin > high:
            raise TopicError(
                f"{self.topic}-{number} ends at offset {high}, and the trainer has read up to {begin}: the topic "
                "was made again, or cut. Start it with --reset-offsets, to read what is there, or another --store"
            )

    def _go_on(self, numbers: Sequence[int]) -> None:
        """Where the client finds no click at its place: behind what retention removed, which is counted."""
        ranges = self._ranges()
        for number in numbers:
            low, high = ranges[number]
            position = self._next.get(number, low)
            self._refuse_beyond(number, position, high)
            if position < low:
                self._note_lost(number, position, low)
        self._assign()  # the client refuses to seek in a partition that it has given up

    def _say_waiting(self) -> None:
        if waits := reading_waits():
            self._problems.raise_("schema_registry", waits, REMEDY)
        else:
            self._problems.clear("schema_registry")

    def _forget(self, found: Clicks, what: Forgotten, ts: int) -> None:
        found.erase(what.session_id)
        found.erased.append(what)
        self._forgotten[what.session_id] = ts
        self._forgotten.move_to_end(what.session_id)
        while len(self._forgotten) > _FORGOTTEN:
            self._forgotten.popitem(last=False)

    def ends(self) -> dict[int, int]:
        """The offsets behind the newest click of each partition; BrokerUnavailable."""
        return {number: high for number, (_, high) in self._ranges().items()}

    def lag(self) -> int:
        """Clicks that were not read yet; BrokerUnavailable. Those that went before they were read are counted."""
        left = 0
        for number, (low, high) in self._ranges().items():
            position = self._next.get(number, low)
            if position < low:
                self._note_lost(number, position, low)
            left += max(0, high - max(position, low))
        return left

    def close(self) -> None:
        self._consumer.close()

    def _note_lost(self, number: int, begin: int, low: int) -> None:
        """Each lost click once: the position moves behind them."""
        self.lost += low - begin
        self._next[number] = low
        log.error(
            "%d clicks of %s-%d were removed by retention before the trainer had read them (offsets %d to %d)",
            *(low - begin, self.topic, number, begin, low - 1),
        )

    def _ranges(self) -> dict[int, tuple[int, int]]:
        """Partition -> its oldest offset, and the one behind its newest."""
        deadline = time.monotonic() + _ANSWER_S
        try:
            numbers = self._consumer.list_topics(self.topic, timeout=_ANSWER_S).topics[self.topic].partitions
            found = {}
            for number in numbers:
                left = max(1.0, deadline - time.monotonic())
                low, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, number), timeout=left)
                found[int(number)] = (int(low), int(high))
            return found
        except KafkaException as error:
            raise BrokerUnavailable(f"{self.topic} cannot be looked at: {error.args[0].str()}") from error
