"""Ends a worker that no longer works: a worker that heart-beats without reading holds its partitions for ever.

    the event loop stands still           nothing runs any more, not even this worker's own reports
    the fetch loop stands still           a crash in it stops only the fetcher
    clicks wait and none is finished      whatever the reason is

The checks run in a thread of their own, which a stuck event loop cannot stop. Time that the whole process spent
stopped, or that the broker was away, does not count.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["EXIT_STUCK", "Vitals", "Watchdog"]

log = logging.getLogger(__name__)

EXIT_STUCK = 3  # exit code of a worker that had to be ended from outside its event loop


@dataclass(slots=True)
class Vitals:
    """Signs of life, by time.monotonic(). Written on the event loop, read by the watchdog."""

    loop_at: float  # the event loop's last turn
    fetched_at: float  # the fetch loop's last turn
    finished: int  # batches finished and rows recovered so far
    waiting: bool  # clicks wait, in the worker or behind the position it reads from, or partitions for their state


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
        self._finished = -1
        self._idle_s = self._loop_s = self._fetch_s = 0.0
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
        self._loop_s = 0.0 if now - vitals.loop_at < recent else self._loop_s + passed_s
        self._fetch_s = 0.0 if now - vitals.fetched_at < recent else self._fetch_s + passed_s
        working = vitals.finished != self._finished or not vitals.waiting
        self._idle_s = 0.0 if working else self._idle_s + passed_s
        self._finished = vitals.finished
        reason = self._reason()
        if reason is not None and not self._broker_answers():
            self._loop_s = self._fetch_s = self._idle_s = 0.0
            return None
        return reason

    def _reason(self) -> str | None:
        if self._loop_s >= self._patience_s:
            return f"the event loop has stood still for {self._loop_s:.0f} s"
        if self._fetch_s >= self._patience_s:
            return f"the fetch loop has stood still for {self._fetch_s:.0f} s"
        if self._idle_s >= self._patience_s:
            return f"clicks wait, but none was finished for {self._idle_s:.0f} s"
        return None

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(self._check_s):
            now = time.monotonic()
            reason = self.check(now - last, now)
            last = now
            if reason is not None:
                log.critical("the worker is stuck and ends: %s", reason)
                self._on_stuck(reason)
                if not self._stopped.wait(self._grace_s):
                    self._exit(EXIT_STUCK)
                return
