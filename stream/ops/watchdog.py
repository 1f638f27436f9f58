"""Ends a worker that no longer works: a worker that heart-beats without reading holds its partitions for ever.

    the event loop stands still           nothing runs any more, not even this worker's own reports
    the fetch loop stands still           a crash in it stops only the fetcher
    clicks wait and none is finished      whatever the reason is: of all partitions, or of one while others go on.
                                          Reading the same clicks or the same rows again and again is no progress

The checks run in a thread of their own, which a stuck event loop cannot stop. Time that the whole process spent
stopped, or that the broker was away, does not count, however it ends; it does not make the rest forgotten either. The
broker is away where the worker's own traffic has no sign of it, and it does not answer when it is asked.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["EXIT_STUCK", "Progress", "Vitals", "Watchdog"]

log = logging.getLogger(__name__)

EXIT_STUCK = 3  # exit code of a worker that had to be ended from outside its event loop


class Progress(NamedTuple):
    """Of one partition of this worker."""

    finished: int  # batches confirmed so far
    waiting: bool  # clicks of it were begun and are not answered, or it is not read: no matter of turns


@dataclass(slots=True)
class Vitals:
    """Signs of life, by time.monotonic(). Written on the event loop, read by the watchdog."""

    loop_at: float  # the event loop's last turn
    fetched_at: float  # the fetch loop's last turn
    finished: int  # batches finished and rows recovered so far, those that were recovered again left out
    waiting: bool  # clicks wait, in the worker or behind the position it reads from, or partitions for their state
    partitions: Mapping[int, Progress] = field(default_factory=dict)  # ours, by number
    restored: int = 0  # rows among `finished`: while a state is recovered, partitions wait for it, not in vain
    broker_at: float = 0.0  # the last sign of life of the broker: a heartbeat it answered, a batch it confirmed
    trouble: str = ""  # why the last batch that failed did


class Watchdog:
    """Calls everything from its own thread: `vitals` at each check, `broker_answers` before it calls a worker stuck,
    `on_stuck` with the reason, once, to start an orderly end."""

    def __init__(
        self,
        vitals: Callable[[], Vitals],
        broker_answers: Callable[[], bool],
        on_stuck: Callable[[str], None],
        *,
        patience_s: float,
        grace_s: float = 15.0,  # for the orderly end, before the process is ended at once
        exit_process: Callable[[int], None] = os._exit,
    ) -> None:
        self._vitals, self._broker_answers = vitals, broker_answers
        self._on_stuck, self._exit = on_stuck, exit_process
        self._patience_s, self._grace_s = patience_s, grace_s
        self._check_s = min(1.0, patience_s / 10)
        self._stopped = threading.Event()
        self._finished = self._restored = -1
        self._idle_s = self._loop_s = self._fetch_s = 0.0
        self._waits: dict[int, tuple[int, float]] = {}  # partition -> batches confirmed, seconds since the last one
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The worker ends by itself; no longer watched."""
        self._stopped.set()

    def check(self, passed_s: float, now: float) -> str | None:
        """Why the worker counts as stuck, `passed_s` after the last check; None while it does not.

        A gap between two checks counts as one interval at most: the process may have been stopped meanwhile.
        """
        passed_s = min(passed_s, 2 * self._check_s)
        vitals = self._vitals()
        recent = 3 * self._check_s + 1.0
        if self._in_doubt() and now - vitals.broker_at > recent and not self._broker_answers():
            return None  # whatever stands still may be waiting for it
        self._loop_s = 0.0 if now - vitals.loop_at < recent else self._loop_s + passed_s
        self._fetch_s = 0.0 if now - vitals.fetched_at < recent else self._fetch_s + passed_s
        working = vitals.finished != self._finished or not vitals.waiting
        self._idle_s = 0.0 if working else self._idle_s + passed_s
        self._finished = vitals.finished
        self._count_waits(vitals, passed_s)
        return self._reason(vitals.trouble)

    def _in_doubt(self) -> bool:
        """Whether anything has stood still at the last check."""
        waited = (seconds for _, seconds in self._waits.values())
        return max(self._loop_s, self._fetch_s, self._idle_s, *waited, 0.0) > 0

    def _count_waits(self, vitals: Vitals, passed_s: float) -> None:
        waits: dict[int, tuple[int, float]] = {}
        passed_s = passed_s if vitals.restored == self._restored else 0.0
        self._restored = vitals.restored
        for number, (finished, waiting) in vitals.partitions.items():
            before, waited_s = self._waits.get(number, (finished, 0.0))
            waits[number] = finished, waited_s + passed_s if waiting and finished == before else 0.0
        self._waits = waits

    def _reason(self, trouble: str) -> str | None:
        why = f"; {trouble}" if trouble else ""
        fetch_too = self._fetch_s >= self._patience_s and 2 * self._loop_s > self._fetch_s
        if self._loop_s >= self._patience_s or fetch_too:  # a loop that stands stops the fetch loop, if not at once
            return f"the event loop has stood still for {self._loop_s:.0f} s"
        if self._fetch_s >= self._patience_s:
            return f"the fetch loop has stood still for {self._fetch_s:.0f} s"
        if self._idle_s >= self._patience_s:
            return f"clicks wait, but none was finished for {self._idle_s:.0f} s{why}"
        for number, (_, waited_s) in self._waits.items():
            if waited_s >= self._patience_s:
                return f"clicks of partition {number} wait, but none was finished for {waited_s:.0f} s{why}"
        return None

    def _checked(self, passed_s: float, now: float) -> str | None:
        """As `check`: a look that fails is said, and the next one made. Unwatched, a worker could stand for ever."""
        try:
            return self.check(passed_s, now)
        except Exception:
            log.exception("the watchdog could not look at the worker; it looks again")
            return None

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(self._check_s):
            now = time.monotonic()
            reason = self._checked(now - last, now)
            last = now
            if reason is not None:
                log.critical("the worker is stuck and ends: %s", reason)
                self._on_stuck(reason)
                if not self._stopped.wait(self._grace_s):
                    self._exit(EXIT_STUCK)
                return
