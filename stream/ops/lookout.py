"""Watches what a worker stands on, and tells of it: log, /health, metric, and an end that is defined.

    topics deleted, made again, repartitioned   seen within a look and a moment; `trouble` says it in /health, and after
                                                time for that to be noticed the worker ends as it would at its start
    states of other clicks than the topic's     the same
    clicks removed before they were read        counted, and the worker goes on with the oldest that is left

The looks are made in a thread of their own: they wait for the broker.
"""

import logging
import threading
from collections.abc import Callable, Mapping

from export.errors import NextclickError
from stream.config import StreamConfig
from stream.kafka.look import Topic
from stream.kafka.surroundings import Change, Surroundings, compare
from stream.ops.metrics import Metrics
from stream.partition.reading import Partition

__all__ = ["Lookout"]

log = logging.getLogger(__name__)

_AGAIN_S = 1.0  # a broker that has just started may know of fewer topics than there are: so it is asked again
_LOOKS = 3  # that must say the same
_NOTICED_S = 10.0  # between the telling and the end: two scrapes of the metrics
_FAILED = 3  # looks without an answer, before that is said


class Lookout:
    """`on_change` hears at once of what ends the worker, `on_clear` of each look that finds all well, `on_end` when
    the end is due; all in the lookout's thread."""

    def __init__(
        self,
        config: StreamConfig,
        metrics: Metrics,
        *,
        on_change: Callable[[Change], None],
        on_clear: Callable[[], None],
        on_end: Callable[[NextclickError], None],
        look: Callable[[], Mapping[str, Topic]] | None = None,
    ) -> None:
        """`look` takes the place of the cluster in tests."""
        self._config, self._metrics = config, metrics
        self._on_change, self._on_clear, self._on_end = on_change, on_clear, on_end
        self._look = look
        self._before: Mapping[str, Topic] | None = None
        self._reported: Change | None = None
        self._counted: dict[Partition, int] = {}  # clicks below this offset were counted as lost
        self._failed = 0
        self._due, self._stopped, self._looked = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
        self.trouble: str | None = None  # why the worker is about to end

    def start(self) -> None:
        """What is found first is what must stay."""
        self._thread.start()

    def stop(self) -> None:
        """The worker ends; nothing more is told."""
        self._stopped.set()
        self._due.set()

    def look_soon(self) -> None:
        """Something hints at a change."""
        self._due.set()

    def report(self, change: Change) -> None:
        """Found by someone else: told, and the worker ends, as if a look had found it."""
        self._reported = self._reported or change
        self._due.set()

    def clicks_identity(self, timeout_s: float) -> str | None:
        """The identity of the clicks' topic when the worker started; None where the cluster does not tell. Waits for
        the first look."""
        self._looked.wait(timeout_s)
        topic = (self._before or {}).get(self._config.topics.clicks)
        return None if topic is None else topic.identity

    def moved(self, partition: Partition, begin: int, end: int) -> bool:
        """The broker has no record at `begin`, where a partition was to be read on, and goes on at `end`: counted.

        False where that is a step back, so that the log is another one, or was cut.
        """
        if end < begin:
            log.warning(
                "%s-%d ends before offset %d, where it was to be read on: it was made again, or cut", *partition, begin
            )
            self.look_soon()
            self._counted.pop(partition, None)  # it was of the log before
            return False
        lost = end - max(begin, self._counted.get(partition, 0))
        if partition[0] == self._config.topics.clicks and lost > 0:
            self._counted[partition] = end
            self._metrics.lost_to_retention.inc(lost)
            log.error(
                "%d clicks of %s-%d were removed by retention before they were read (offsets %d to %d): they stay "
                "unanswered. Add workers, or raise retention.ms or retention.bytes of %s",
                *(lost, *partition, end - lost, end - 1, partition[0]),
            )
        return True

    def accounted(self, partition: Partition, offset: int) -> None:
        """The group was told that what is below `offset` is done with: what of it was lost has been counted. A position
        of exactly-once workers may lie before it, as they write it with answers only."""
        self._counted[partition] = max(offset, self._counted.get(partition, 0))

    def forgotten(self, sessions: int) -> None:
        """States of other clicks were dropped."""
        self._metrics.states_reset.inc(sessions)

    def _run(self) -> None:
        surroundings = Surroundings(self._config) if self._look is None else None
        look = self._look or (surroundings.look if surroundings else dict)
        while not self._stopped.is_set():
            change = self._reported or self._find(look)
            if change is not None and not self._stopped.is_set():
                self._tell(change)
                if not self._stopped.wait(min(_NOTICED_S, 2 * self._config.topics_look_s)):
                    self._on_end(change.error)
                return
            self._due.wait(self._config.topics_look_s if self._before else _AGAIN_S)
            self._due.clear()

    def _find(self, look: Callable[[], Mapping[str, Topic]]) -> Change | None:
        """What has changed, once several looks have found the same."""
        change: Change | None = None
        for _ in range(_LOOKS):
            change = self._find_once(look)
            if change is None or self._stopped.wait(min(_AGAIN_S, self._config.topics_look_s / 2)):
                return None
        return change

    def _find_once(self, look: Callable[[], Mapping[str, Topic]]) -> Change | None:
        try:
            now = look()
        except Exception as error:  # whatever it is: a lookout that dies in silence would leave the worker unwatched
            self._failed += 1
            said = str(error) if isinstance(error, NextclickError) else f"the topics cannot be looked at: {error!r}"
            log.log(logging.WARNING if self._failed == _FAILED else logging.DEBUG, "%s", said)
            if self._failed >= _FAILED:
                self._looked.set()  # nobody waits for what may never come
            return None
        self._failed = 0
        self._before = {**now, **(self._before or {})}  # one that the first look did not find counts from the next on
        self._looked.set()
        change = compare(self._config, self._before, now)
        if change is None:
            self._on_clear()
        return change

    def _tell(self, change: Change) -> None:
        self.trouble = str(change.error)
        self._metrics.topic_trouble.labels(change.kind).set(1)
        log.error("the worker ends: %s", change.error)
        self._on_change(change)
