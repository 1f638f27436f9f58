"""What became of a cycle, said everywhere its owner looks: decisions, log, metrics, and what is wrong now."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from export.errors import NextclickError
from export.registry.registry import Registry
from export.traces import tracer_asked
from model.evaluate.metrics import MAIN
from model.reports.tracking import REMEDY
from model.trainer.child import Ended
from model.trainer.config import TrainerConfig
from model.trainer.decisions import Decisions, outcome_of
from model.trainer.kept.journal import OpenCycle, State
from model.trainer.metrics import TrainerMetrics

__all__ = ["HARMLESS", "Outcomes", "remedy_of"]

_OF_ITEMS = {"items_refused", "items_topic", "items_late", "items_unread"}
HARMLESS = frozenset({"mlflow", "no_model", *_OF_ITEMS})  # keys of problems that keep nobody from training


class Outcomes:
    """`problem` and `solved` hear of what is wrong, as those of the trainer."""

    def __init__(
        self,
        config: TrainerConfig,
        registry: Registry,
        metrics: TrainerMetrics,
        decisions: Decisions,
        *,
        problem: Callable[[str, str, str], None],
        solved: Callable[[str], None],
    ) -> None:
        self._config, self._registry, self._metrics, self._decisions = config, registry, metrics, decisions
        self._problem, self._solved = problem, solved
        self._tracer = tracer_asked("nextclick-trainer", "a span a cycle")

    def note(self, cycle: OpenCycle, ended: Ended) -> str:
        """One cycle is over; published, refused, skipped or failed."""
        outcome = outcome_of(cycle, ended)
        missing = ""
        if outcome == "published":
            self._solved("no_model")
        elif outcome == "failed":
            missing = self._look(f"cycle {cycle.cycle} failed", "what it failed of has a line of its own")
        elif outcome == "refused":
            why = f"the candidate of cycle {cycle.cycle} did not pass the gate"
            missing = self._look(why, remedy_of(ended.gate, self._config.gate.slack))
        self._decisions.note(cycle, ended, missing)
        self._trace(cycle, ended, outcome)
        self._metrics.cycles.labels(cycle.mode, outcome).inc()
        self._metrics.seconds.labels(cycle.mode).set(ended.seconds)
        self._metrics.mlflow_lost.inc(ended.mlflow_lost)
        if ended.mlflow:
            self._problem("mlflow", ended.mlflow, REMEDY)
        elif not ended.error:
            self._solved("mlflow")
        if outcome == "failed":
            self._problem("cycle_failed", f"cycle {cycle.cycle} failed: {ended.error}", "it is tried again")
        else:
            self._solved("cycle_failed")
            if outcome != "skipped":
                self._metrics.gate.set(outcome == "published")
        return outcome

    def look(self, state: State) -> None:
        """After a start: whether shoppers still wait for a first model."""
        if state.last_passed is False:
            remedy = remedy_of({"reasons": state.last_reasons}, self._config.gate.slack)
            self._look("the last candidate did not pass the gate", remedy)

    def _trace(self, cycle: OpenCycle, ended: Ended, outcome: str) -> None:
        if self._tracer is None:
            return
        about = {"nextclick.cycle": cycle.cycle, "nextclick.mode": cycle.mode, "nextclick.outcome": outcome}
        now = time.time_ns()
        self._tracer.start_span("cycle", start_time=now - int(ended.seconds * 1e9), attributes=about).end(end_time=now)

    def _look(self, why: str, remedy: str) -> str:
        """What is said where there is no version that workers could serve; empty where there is one."""
        try:
            found = self._registry.live(self._config.variant) or self._registry.newest()
        except NextclickError:  # said by whoever needs it
            return ""
        if found is not None:
            self._solved("no_model")
            return ""
        what = f"no model is live at all, as {why}: workers' lists are empty until one passes"
        self._problem("no_model", what, remedy)
        return f"{what}. What helps: {remedy}"


def remedy_of(gate: Mapping[str, Any], slack: float) -> str:
    """What the owner of a shop without a model does, with the slack that would have let the candidate pass."""
    helps = "wait for more clicks, train longer (another --preset such as tron, a larger --max-seconds)"
    recalls = [figures[MAIN] for figures in (gate.get("baselines") or {}).values()]
    own = (gate.get("candidate") or {}).get(MAIN)
    below = max(recalls, default=0.0) - own if own is not None else 0.0
    if below > slack:
        enough = math.ceil(below * 1e3) / 1e3
        return f"{helps}, or accept a model below the best baseline for a beginning: --slack {enough:g}"
    if own is None and gate:
        return f"{helps}, or accept a model below the baselines for a beginning: --slack"
    return helps
