"""What is wrong with a worker now, in one place: said in the log, in /health and in a metric, with the remedy.

Whoever finds that something is wrong adds it, and takes it away when it is over; from any thread, as often as it likes:

    problems.raise_("topic_deleted", "the topic clicks was deleted", "make it again: nextclick topics create")
    problems.raise_("no_model", "no model can be served: ...", "...", unready=True)     /health is 503 meanwhile
    problems.raise_("clicks_lost", "980 clicks were removed unread", "...", for_s=600)  goes by itself, renewed by each
    problems.clear("topic_deleted")                                                     nothing happens where it is not

A key is a slug, one a kind of problem (`topic_deleted`, not `topic_deleted_clicks`, unless several can last at a time).
Each is logged once when it appears, once when it is over, and once more where it comes back; a text that changes
meanwhile (a count, a duration) is shown by /health and not logged again. `nextclick_problem{key}` is 1 while it lasts
and 0 after.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Gauge

__all__ = ["Problem", "Problems"]

log = logging.getLogger(__name__)

_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    key: str
    what: str  # what is wrong and where, without a full stop at its end
    remedy: str  # what its owner does about it; empty where it goes away by itself
    unready: bool  # while it lasts the worker serves nobody
    since: float  # of the clock the Problems were made with
    until: float | None  # when it goes by itself

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


class Problems:
    """The problems of one worker. Safe to use from several threads."""

    def __init__(self, gauge: Gauge | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`gauge` has the label `key` (`Metrics.problem`)."""
        self._gauge, self._clock = gauge, clock
        self._lasting: dict[str, Problem] = {}
        self._lock = threading.Lock()

    def raise_(
        self,
        key: str,
        what: str,
        remedy: str = "",
        *,
        unready: bool = False,
        for_s: float | None = None,
        logged: bool = False,
    ) -> None:
        """Something is wrong, now or still. `for_s`: seconds after which it is over, unless raised again. `logged`: its
        finder has put it into the log already, as each one of the kind is worth a line."""
        assert _KEY.fullmatch(key), f"{key!r} is no key of a problem: small letters, digits and _"
        now = self._clock()
        with self._lock:
            before = self._lasting.get(key)
            problem = Problem(
                key=key,
                what=what,
                remedy=remedy,
                unready=unready,
                since=before.since if before else now,
                until=None if for_s is None else now + for_s,
            )
            self._lasting[key] = problem
            self._show(key, 1)
        if before is None and not logged:
            log.error("%s", problem)

    def clear(self, key: str) -> None:
        """It is over; nothing happens where it was not."""
        with self._lock:
            problem = self._forget(key)
        if problem is not None:
            self._say_over(problem)

    def lasting(self) -> list[Problem]:
        """All that is wrong now, the oldest first; what had a time of its own is cleared when that is over."""
        now = self._clock()
        with self._lock:
            over = [p for p in self._lasting.values() if p.until is not None and p.until <= now]
            for problem in over:
                self._forget(problem.key)
            lasting = sorted(self._lasting.values(), key=lambda problem: problem.since)
        for problem in over:
            self._say_over(problem)
        return lasting

    def _forget(self, key: str) -> Problem | None:
        problem = self._lasting.pop(key, None)
        if problem is not None:
            self._show(key, 0)
        return problem

    def _say_over(self, problem: Problem) -> None:
        log.warning("over after %.0f s: %s", self._clock() - problem.since, problem.what)

    def _show(self, key: str, value: int) -> None:
        if self._gauge is not None:
            self._gauge.labels(key).set(value)
