"""What a storefront says it showed: the newest lists of each session, bounded, read from a topic in a thread.

A click is judged by the newest list that was shown before it, by the shop's own times. A list that comes after its
click was joined is too late, and the click says nothing: storefronts should send a list when they show it. A click is
joined once it was answered, so that this is rare.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.errors import BadClick, BrokerUnavailable, TopicError
from stream.kafka.clients import build_client, consumer_options
from stream.messages.impressions import Impression, decode_impression
from stream.topic_names import Topics

__all__ = ["ImpressionReader", "ShownLists"]

log = logging.getLogger(__name__)

_KEPT = 8  # lists of a session that are looked back on
_AT_ONCE, _WAIT_S = 500, 0.2
_ASK_S = 10.0
_LOOK_S = 30.0  # between two looks for new partitions


class ShownLists:
    """Of the sessions heard of last. Safe to use from threads."""

    def __init__(self, max_sessions: int) -> None:
        self._most, self._lock = max_sessions, threading.Lock()
        self._sessions: OrderedDict[str, list[Impression]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, shown: Impression) -> None:
        """A list was shown."""
        with self._lock:
            lists = self._sessions.setdefault(shown.session_id, [])
            lists.append(shown)
            lists.sort(key=lambda one: one.ts)
            del lists[:-_KEPT]
            self._sessions.move_to_end(shown.session_id)
            while len(self._sessions) > self._most:
                self._sessions.popitem(last=False)

    def erase(self, session: str) -> int:
        """Forget a session; how many lists were known of it."""
        with self._lock:
            return len(self._sessions.pop(session, ()))

    def before(self, session: str, ts: int) -> Impression | None:
        """The newest list of a session that was not shown after `ts`, ms since the epoch."""
        with self._lock:
            lists = self._sessions.get(session, [])
            return next((one for one in reversed(lists) if one.ts <= ts), None)


class ImpressionReader:
    """Reads a topic from so long ago on, in no group. `counts`: lists read, and rejected ones by reason."""

    def __init__(
        self, bootstrap_servers: str, topics: Topics, shown: ShownLists, extra: Mapping[str, str] | None = None
    ) -> None:
        self._topic, self._options, self._shown = topics.impressions, topics.as_options(), shown
        options = consumer_options(bootstrap_servers, extra, group="nextclick-feedback-impressions")
        self._consumer: Consumer = build_client(Consumer, options)
        self._known: set[int] = set()
        self._left: dict[int, int] = {}  # partition -> offset up to which it is read at the start
        self._caught_up = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="impressions", daemon=True)
        self.counts: Counter[str] = Counter()
        self.trouble = ""  # what the client says is wrong, until messages come again

    def start(self, since_ms: int, *, wait_s: float = 20.0) -> None:
        """Begin with what was written since then, ms since the epoch, and return once what is there was read: clicks
        that are joined earlier would find nothing. TopicError where there is no such topic; BrokerUnavailable."""
        self._assign_new(since_ms)
        if not self._known:
            raise TopicError(
                f"there is no topic {self._topic}: `nextclick topics create --bootstrap-servers HOST --partitions N"
                f"{self._options} --impressions` makes it; or leave out --impressions"
            )
        self._thread.start()
        if self._left and not self._caught_up.wait(wait_s):
            log.warning("%s was not read to its end within %g s: clicks before that are unseen", self._topic, wait_s)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def take(self, value: bytes | None, key: bytes | None, record_ts_ms: int) -> None:
        """A message of the topic."""
        try:
            self._shown.add(decode_impression(value, key, record_ts_ms))
            self.counts["lists"] += 1
        except BadClick as error:
            self.counts[f"rejected_{error.reason}"] += 1

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._stop.is_set():
            for message in self._consumer.consume(_AT_ONCE, _WAIT_S):
                if (error := message.error()) is not None:
                    self.trouble = str(error)
                    continue
                self.trouble = ""
                self.take(message.value(), message.key(), message.timestamp()[1])
                self._passed(message.partition() or 0, message.offset() or 0)
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                try:
                    self._assign_new(0)
                except BrokerUnavailable as error:
                    self.trouble = str(error)

    def _assign_new(self, since_ms: int) -> None:
        try:
            listed = self._consumer.list_topics(self._topic, timeout=_ASK_S).topics[self._topic]
            new = sorted(set(listed.partitions) - self._known) if listed.error is None else []
            if new:
                asked = [TopicPartition(self._topic, number, since_ms) for number in new]
                self._consumer.incremental_assign([self._place(one) for one in self._times(asked)])
                self._known.update(new)
        except KafkaException as error:
            raise BrokerUnavailable(f"{self._topic} can't be read: {error}") from error

    def _times(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        found: list[TopicPartition] = self._consumer.offsets_for_times(asked, timeout=_ASK_S)
        return found

    def _place(self, found: TopicPartition) -> TopicPartition:
        """Where a partition is read from: its end, as it is now, where nothing was written since the time asked for."""
        _, end = self._consumer.get_watermark_offsets(found, timeout=_ASK_S)
        if found.offset < 0:
            return TopicPartition(self._topic, found.partition, end)
        if found.offset < end:
            self._left[found.partition] = end
        return found

    def _passed(self, partition: int, offset: int) -> None:
        if offset + 1 >= self._left.get(partition, offset + 2):
            del self._left[partition]
            if not self._left:
                self._caught_up.set()
