"""Following the items: what the topic says is kept in a table, from its beginning on, in a thread of its own.

Without the topic the table is empty, and the topic is looked for. What is wrong is raised among the problems:

    items_refused      messages that break a rule, or find the table full: what was in force of the item stays
    items_topic        the topic was deleted, made again, or given more partitions
    items_late         they were not restored in the time that a worker waits for them
    items_outdated     it was not heard for longer than lists wait for it
    items_unread       no broker answers, or the topic can't be read: the table may be behind

A topic that was deleted leaves the table as it is; one that was made again is read anew, into an empty table.
"""

import logging
import threading
import time
from collections.abc import Mapping

from confluent_kafka import Message

from export.errors import BadItem
from export.items.table import ItemTable
from stream.config import StreamConfig
from stream.items.apply import apply_messages
from stream.items.figures import ItemsHealth, ItemsMetrics
from stream.items.reader import ItemsReader
from stream.messages.record_time import sane_record_time_ms
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems

__all__ = ["ItemsFollower"]

_STEP_S = 0.005  # between two looks of who waits for newer knowledge
_READ_S = 0.1  # one wait for messages; also the delay of a change that comes alone, and of stop()
_STEP = 256  # messages taken without a pause, once all was restored
_PAUSE_S = 0.0005  # in which other threads go on
_SAID_S = 600.0  # how long /health speaks of what was seen once
_BACKOFF_S = 1.0
_KNOWN_S = 1.0  # how old what is known of the items may be when lists are made
_AWAIT_S = 1.5  # for newer knowledge, before lists are made with the old
_REST = 10  # times as long as they waited, lists do not wait again: where all is slow, it would be slower still
_VALUES_AN_ITEM = 8  # different values of attributes a table may hold, for each item it may

log = logging.getLogger(__name__)


class ItemsFollower:
    """`table` is written by this thread alone, and may be read by any. `restored` is set once what the topic held at
    the start is in the table, or there is no such topic."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        extra: Mapping[str, str] | None = None,
        *,
        max_items: int,
        look_s: float = 10.0,
        options: str = "",
        problems: Problems | None = None,
        metrics: ItemsMetrics | None = None,
    ) -> None:
        """max_items: more are refused. options: of commands, for remedies. look_s: between two looks at the topic."""
        self._servers, self._topic, self._extra = bootstrap_servers, topic, dict(extra or {})
        self._look_s, self._options, self._max_items = look_s, options, max_items
        self._problems, self._metrics = problems or Problems(), metrics
        self.table = ItemTable(max_items=max_items, max_values=_VALUES_AN_ITEM * max_items)
        self.restored = threading.Event()
        self.awaited = threading.Event()  # they are restored, or nobody waits for them any more
        self._health = ItemsHealth()
        self._known_at = 0.0  # of the monotonic clock: the table has all that the topic held then
        self._outdated = False  # it stayed older than it may be, which was said
        self._may_wait_from = 0.0  # of the monotonic clock: lists go on at once until then
        self._refused = 0
        self._newest_ms: int | None = None
        self._was_there = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="items-follower", daemon=True)

    @classmethod
    def of(cls, config: StreamConfig, problems: Problems, metrics: Metrics) -> "ItemsFollower":
        """Return a worker's."""
        return cls(
            config.bootstrap_servers,
            config.topics.items,
            config.kafka,
            max_items=config.max_items,
            look_s=config.topics_look_s,
            options=config.topics.as_options(),
            problems=problems,
            metrics=ItemsMetrics(metrics.registry),
        )

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread."""
        self._stopped.set()
        self.awaited.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wait(self, timeout_s: float) -> None:
        """Return once all is restored, the thread is stopped, or the time is over; the latter is said."""
        if self.awaited.wait(timeout_s):
            return
        self.awaited.set()
        self._problems.raise_(
            "items_late",
            f"the items were not restored within {timeout_s:g} s: lists are made with what is known of them so far",
            "it goes away once they are; until then items that are not available may be shown",
        )

    def await_current(self) -> None:
        """Return once the table is as the topic was a second ago; from the thread that makes lists.

        A process that was stopped for a while, or cut off from its brokers, would else show what was switched off
        meanwhile. Where it takes longer than that wait may, lists go on with what is known, which is said.
        """
        if self._is_current() or time.monotonic() < self._may_wait_from:
            return
        begun = time.monotonic()
        while not self._stopped.is_set() and time.monotonic() - begun < _AWAIT_S:
            time.sleep(_STEP_S)
            if self._is_current():
                break
        now = time.monotonic()
        self._may_wait_from = now + _REST * (now - begun)
        if now - self._known_at > _KNOWN_S and self.restored.is_set() and not self._stopped.is_set():
            self._outdated = True
            self._problems.raise_(
                "items_outdated",
                f"what is known of the items is {now - self._known_at:.0f} s old: lists may show what was switched off",
                "it goes away once the brokers of the topic answer; else see whether this process gets enough CPU",
            )

    def _is_current(self) -> bool:
        if time.monotonic() - self._known_at > _KNOWN_S:
            return False
        if self._outdated:
            self._outdated = False
            self._problems.clear("items_outdated")
        return True

    def health(self) -> ItemsHealth:
        """What /health says; from any thread."""
        return self._health

    def _run(self) -> None:
        while not self._stopped.is_set():
            reader = ItemsReader(self._servers, self._topic, self._extra, look_s=self._look_s)
            try:
                self._follow(reader)
            except Exception:  # a thread that dies in silence would leave the lists with what was true once
                log.exception("following the items failed; they are read again from the beginning")
                self._problems.raise_("items_unread", "following the items failed: the log says why", for_s=_SAID_S)
                self._stopped.wait(_BACKOFF_S)
            finally:
                reader.close()

    def _follow(self, reader: ItemsReader) -> None:
        begun, remade, shown_at = time.monotonic(), 0, 0.0
        while not self._stopped.is_set():
            messages = reader.read(_READ_S)
            if reader.remade > remade:
                remade = reader.remade
                self._start_anew()
            self._take(messages)
            self._known_at = max(self._known_at, reader.known_at())
            if reader.caught_up and not self.restored.is_set():
                self._say_restored(time.monotonic() - begun, reader.missing)
            self._say_trouble(reader)
            if time.monotonic() - shown_at >= _READ_S:
                shown_at = time.monotonic()
                self._show(reader)

    def _take(self, messages: list[Message]) -> None:
        for start in range(0, len(messages), _STEP):
            apply_messages(self.table, messages[start : start + _STEP], self._refuse)
            if start and self.restored.is_set():
                time.sleep(_PAUSE_S)
        if messages:
            sent_ms = sane_record_time_ms(messages[-1].timestamp()[1])
            self._newest_ms = self._newest_ms if sent_ms is None else sent_ms

    def _refuse(self, error: BadItem, message: Message) -> None:
        self._refused += 1
        if self._metrics is not None:
            self._metrics.refuse(error.reason)
        place = f"{self._topic}-{message.partition()} at offset {message.offset()}"
        log.warning("refused an item: %s, in %s", error, place)
        remedy = "send the item again as docs/items.md says"
        if error.reason == "too_many_items":
            remedy = "raise --max-items, or remove items (nextclick items load --replace)"
        elif error.reason == "too_many_different_values":
            remedy = "raise --max-items, or leave out attributes that are different for each item"
        self._problems.raise_(
            "items_refused",
            f"{self._refused:,} messages of {self._topic} were refused, the last: {error}, in {place}",
            remedy,
            for_s=_SAID_S,
            logged=True,
        )

    def _start_anew(self) -> None:
        self.table.clear()
        self._problems.raise_(
            "items_topic",
            f"{self._topic} was deleted and made again: what the old one said of items is gone",
            f"send them again by `nextclick items load PATH --bootstrap-servers HOST{self._options}`",
            for_s=_SAID_S,
        )

    def _say_restored(self, seconds: float, missing: bool) -> None:
        self.restored.set()
        self.awaited.set()
        self._problems.clear("items_late")
        if missing:
            log.info("there is no topic %s: nothing is known of items until there is", self._topic)
        else:
            log.info("%d items (%d gone) were restored in %.2f s", len(self.table), self.table.gone, seconds)

    def _say_trouble(self, reader: ItemsReader) -> None:
        if reader.trouble:
            self._problems.raise_("items_unread", f"the items may be behind: {reader.trouble}")
        else:
            self._problems.clear("items_unread")
        if reader.repartitioned:
            self._problems.raise_(
                "items_topic",
                f"{reader.repartitioned}: what was said of an item before may be read after what is said now",
                "delete it, make it again by `nextclick topics create`, and load the items again",
            )
        elif reader.missing and self._was_there:
            self._problems.raise_(
                "items_topic",
                f"{self._topic} was deleted: the items stay as they were, until the worker ends",
                f"make it again by `nextclick topics create --bootstrap-servers HOST{self._options}`, and load them",
            )
        self._was_there = self._was_there or reader.there

    def _show(self, reader: ItemsReader) -> None:
        table, newest = self.table, self._newest_ms
        self._health = ItemsHealth(
            items=len(table),
            unavailable=table.unavailable,
            gone=table.gone,
            refused=self._refused,
            lag=reader.lag(),
            age_s=None if newest is None else max(0.0, time.time() - newest / 1000),
            topic=reader.there,
            restored=self.restored.is_set(),
        )
        if self._metrics is not None:
            self._metrics.show(self._health)
