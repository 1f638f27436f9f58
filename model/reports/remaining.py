"""How much longer a training will take, put into its reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from model.reports.outlook import Outlook
from model.reports.progress import OnProgress, Progress

__all__ = ["Remaining"]

ENOUGH = 0.02  # of the training, by whose time the rest is told; before that by the estimate


class Remaining:
    """An OnProgress that passes every report on; those of steps say the seconds that are left, once that is known."""

    def __init__(
        self, on_progress: OnProgress, plan: Outlook | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`plan`: what was estimated before; by it, dear steps at the end are foreseen."""
        self._on_progress, self._plan, self._clock = on_progress, plan, clock
        self._began: float | None = None
        self._begun_with = 0.0

    def __call__(self, report: Progress) -> None:
        """Pass `report` on."""
        if report.stage == "train" and report.steps:
            report = replace(report, remaining_s=self._left(report))
        self._on_progress(report)

    def _left(self, report: Progress) -> float | None:
        over = self._over(report)
        if self._began is None:  # a training that goes on has some of it behind it
            self._began, self._begun_with = self._clock(), over
        done = over - self._begun_with
        if done >= ENOUGH:
            return (self._clock() - self._began) / done * (1 - over)
        return None if self._plan is None else self._plan.seconds * (1 - over)

    def _over(self, report: Progress) -> float:
        """The share of the whole training's time that is over, all encoders together."""
        number, _, of = report.member.partition("/")
        at, count = (int(number) - 1, int(of)) if of else (0, 1)
        plan = self._plan
        if plan is None or len(plan.members) != count:
            return min(1.0, (at + report.done) / count)
        member = plan.members[at]
        by_time = plan.limit_s is not None and plan.seconds >= plan.limit_s  # then the share done is one of time
        work = report.done if by_time else member.work(report.done)
        seconds = [1.0] * count if by_time else [one.seconds for one in plan.members]
        return min(1.0, (sum(seconds[:at]) + work * seconds[at]) / max(1e-9, sum(seconds)))
