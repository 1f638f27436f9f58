"""The trainer as a service: it reads clicks, and from time to time turns them into a version.

    standby     another trainer leads: wait
    lead        read on where the store ends; go on with the cycle that was open
    read        clicks into the store, part by part
    cycle       due: note it in the journal, run it in a child, note what came of it, make it live, forget it

Whatever is noted is noted before it is done, so that a trainer that is killed, or loses its lead, costs time and
nothing else: who leads next goes on with the same cycle, which publishes once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export.errors import NextclickError
from export.registry.registry import Registry
from model.data.readers import ReadOptions
from model.errors import LeadLost
from model.trainer.child import Child, Ended, Task
from model.trainer.config import TrainerConfig
from model.trainer.decisions import Decisions
from model.trainer.health import TrainerHealth, TrainingProgress
from model.trainer.kept.bounds import Bounds
from model.trainer.kept.files import open_files
from model.trainer.kept.intake import Intake
from model.trainer.kept.items_files import ItemsFiles
from model.trainer.kept.journal import Journal, OpenCycle
from model.trainer.kept.store import ClickStore
from model.trainer.kept.window import import_log
from model.trainer.metrics import TrainerMetrics
from model.trainer.outcome import Outcomes
from model.trainer.ports import Announcing, Feed, Forgotten, Items, Leading
from model.trainer.registry_sight import RegistrySight
from model.trainer.schedule import due

__all__ = ["Trainer"]

log = logging.getLogger(__name__)

_PAUSE_S = 2.0  # after something failed that may go away
_LOOK_S = 10.0  # between two looks at lag and disk


class Trainer:
    """One trainer. `run` and `once` belong to one thread, for as long as the process lives; the rest to any."""

    def __init__(
        self,
        config: TrainerConfig,
        *,
        feed: Feed,
        leading: Leading,
        items: Items | None = None,
        announcing: Announcing,
        problem: Callable[[str, str, str], None],
        solved: Callable[[str], None],
        metrics: TrainerMetrics | None = None,
        data: tuple[Path, ReadOptions] | None = None,
        reset_offsets: bool = False,
        new_child: Callable[..., Any] = Child,
        on_erased: Callable[[Forgotten, int], None] = lambda *_: None,
    ) -> None:
        """`problem` and `solved` hear of what is wrong: a key, what, and the remedy. data: a log to begin with.
        `on_erased` hears of sessions that were erased from the store, and of how many clicks.
        `new_child` takes the place of the process in tests. Errors of registry and store."""
        self._config, self._feed, self._leading, self._announcing = config, feed, leading, announcing
        self._problem, self._solved = problem, solved
        self._data, self._reset, self._new_child = data, reset_offsets, new_child
        self.metrics = metrics or TrainerMetrics()
        self._registry = Registry(config.registry)
        self._registry.create()
        files = open_files(config.store)
        self._store, self._journal = ClickStore(files), Journal(files)
        self._work = Path(config.work)
        self._work.mkdir(parents=True, exist_ok=True)
        self._bounds = Bounds(config, self.metrics, problem=problem, solved=solved)
        self._sight = RegistrySight(self._registry, problem=problem, solved=solved)
        decisions = Decisions(self._work)
        self._outcomes = Outcomes(config, self._registry, self.metrics, decisions, problem=problem, solved=solved)
        self._items = ItemsFiles(self._work, items)
        self._intake = Intake(config, feed, self._store, self.metrics, log.info, on_erased)
        self._child: Child | None = None
        self._failures, self._next_look, self._step = 0, 0.0, ""
        self._progress: TrainingProgress | None = None
        self._waiting = ""  # what for: no fault, and nothing to be mended
        self._state, self._asked = "standby", False
        self.last: Ended | None = None  # what came of the last cycle here

    # -- the life --

    def ask(self) -> None:
        """Begin a cycle as soon as none is open, whatever the schedule says. For a signal's handler, too."""
        self._asked = True

    def run(self, stop: threading.Event) -> None:
        """Lead or stand by until `stop` is set."""
        while not stop.is_set():
            self._state = "standby"
            self.metrics.leads.set(0)
            if not self._leading.await_lead(1.0):
                continue
            try:
                self._lead(stop)
            except LeadLost as error:
                log.warning("%s", error)
            except (NextclickError, OSError) as error:
                self._trouble(error)
                stop.wait(_PAUSE_S)
            finally:
                self._stop_child()

    def once(self, stop: threading.Event) -> Ended:
        """Read to the end of the topic as it is now, run one cycle, and return what came of it.

        NextclickError where that can't be done; LeadLost where another trainer leads for good.
        """
        while not self._leading.await_lead(0.5):
            if stop.is_set():
                raise LeadLost("stopped while another trainer leads")
        try:
            self._begin()
            ends = dict(self._feed.ends())
            while not self._intake.reached(ends) and not stop.is_set():
                self._require_lead()
                self._intake.read()
            self._intake.flush()
            self._measure()
            self._sight.require(self._journal.state.last_version)
            if self._journal.state.open is None:
                self._open("full", "asked for")
            while (ended := self._turn_cycle()) is None:
                if stop.is_set():
                    raise LeadLost("stopped; the next trainer goes on with the cycle")
                time.sleep(0.05)
            if ended.error:
                raise _failure(ended)
            return ended
        finally:
            self._stop_child()

    def _lead(self, stop: threading.Event) -> None:
        self._begin()
        log.info("this trainer leads; %s clicks are stored", f"{self._store.clicks:,}")
        while not stop.is_set():
            self._require_lead()
            self._state = "training" if self._child else "reading"
            self._intake.read()
            self._solved("trainer")
            if self._journal.state.open is not None:
                self._turn_cycle()
            else:
                self._open_if_due()
            self._measure()
        self._intake.flush()

    def _begin(self) -> None:
        """What another may have done meanwhile is seen; reading goes on where the store ends."""
        self.metrics.leads.set(1)
        self._state = "reading"
        self._store.refresh()
        self._outcomes.look(self._journal.refresh())
        if self._data is not None:
            came = import_log(self._store, *self._data, log.info)
            self.metrics.clicks.inc(came)
            self._data = None
        self._intake.start(reset=self._reset)
        self._reset = False

    def _require_lead(self) -> None:
        if not self._leading.leads:
            raise LeadLost("another trainer leads now; this one stands by")

    # -- cycles --

    def _open_if_due(self) -> None:
        state = self._journal.state
        if self._sight.away:
            return
        found = due(
            self._config,
            state,
            total=self._store.newest.total,
            now_ms=_now_ms(),
            failures=self._failures,
            has_parent=bool(state.parent) and (self._work / state.parent).is_dir(),
            stored=self._is_enough(),
            asked=self._asked,
        )
        if found is not None:
            self._asked = False
            self._intake.flush()
            self._open(*found)

    def _is_enough(self) -> bool:
        """Whether there is something to learn from, as far as the number of clicks tells."""
        least = 2 * self._config.min_sessions
        enough = self._store.clicks >= least
        if enough or self._journal.state.number:
            self._waiting = ""
            return enough
        if not self._waiting:
            log.info("the first training waits for clicks: %s are needed", f"{least:,}")
        self._waiting = (
            f"{self._store.clicks:,} clicks are stored, and {least:,} are needed before the first training: wait, "
            "give it a log by --data, or lower --min-sessions"
        )
        return False

    def _open(self, mode: Any, why: str) -> None:
        """Note a cycle: from here on it is gone on with, whoever leads."""
        config, store, state = self._config, self._store, self._journal.state
        self._bounds.tidy(self._store, keep=state.parent)
        fresh = mode == "fresh"
        warm = fresh or config.warm
        cycle = OpenCycle(
            cycle=f"{config.variant}-{state.number + 1:06d}",
            mode=mode,
            why=why,
            parts=store.names(window_ms=config.window_ms),
            until_ts=store.last_ts,
            total=store.newest.total,
            next_offsets=dict(store.newest.next_offsets),
            parent=state.parent if warm else "",
            parent_version=state.parent_version if warm else "",
            since_ts=state.learned_ts + 1 if fresh else 0,
        )
        self._journal.write(number=state.number + 1, open=cycle, last_total=store.newest.total)
        log.info("cycle %s begins (%s): %s", cycle.cycle, mode, why)

    def _turn_cycle(self) -> Ended | None:
        """Start the open cycle, or see whether it has ended; what came of it, once."""
        cycle = self._journal.state.open
        assert cycle is not None, "a cycle is open"
        if self._child is None:
            self._bounds.look_for_room()
            task = Task(self._config, cycle, items=self._items.of(cycle.cycle))
            self._child = self._new_child(
                task,
                say=self._hear,
                progress=self._learns,
                may_publish=self._leading.is_sure,
                nice=self._config.nice,
            )
        ended: Ended | None = self._child.poll()
        if ended is None:
            return None
        self._child.stop()
        self._child, self._step, self._progress = None, "", None
        self.last = ended
        self._end(cycle, ended)
        return ended

    def _end(self, cycle: OpenCycle, ended: Ended) -> None:
        """Make it live, and forget the cycle. Where that fails the cycle stays open: run again, it finds the version
        that it has published."""
        if ended.kind == "LeadLost":
            raise LeadLost(ended.error)
        if ended.version is not None:
            if not self._leading.is_sure():
                raise LeadLost(f"version {ended.version} is published; who leads now makes it live")
            self._announcing.make_live(ended.version, self._config.variant)
        changes: dict[str, object] = {"open": None, "last_ms": _now_ms()}
        if not ended.error:
            changes |= {
                "last_passed": bool(ended.gate.get("passed", True)),
                "last_reasons": list(ended.gate.get("reasons", ())),
            }
        if cycle.mode == "full":
            changes["last_full_ms"] = _now_ms()
        if ended.version is not None:
            changes |= {
                "parent": ended.checkpoints or "",
                "parent_version": ended.version,
                "learned_ts": cycle.until_ts,
                "last_version": ended.version,
            }
        self._journal.write(**changes)
        outcome = self._outcomes.note(cycle, ended)
        self._failures = self._failures + 1 if outcome == "failed" else 0
        if outcome == "published":
            removed = self._announcing.prune(self._config.keep_versions)
            if removed:
                log.info("old versions were removed: %s", ", ".join(removed))

    def _hear(self, stage: str, message: str) -> None:
        self._step, self._progress = f"{stage}: {message}", None
        log.info("%s", self._step)

    def _learns(self, progress: TrainingProgress) -> None:
        self._step, self._progress = f"train: {progress.words()}", progress

    def _stop_child(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child, self._progress = None, None

    # -- what is shown --

    def _measure(self) -> None:
        store, state, metrics = self._store, self._journal.state, self.metrics
        metrics.store_bytes.set(store.bytes)
        metrics.store_clicks.set(store.clicks)
        metrics.since.set(store.newest.total - state.last_total)
        metrics.age.set(max(0.0, (_now_ms() - state.learned_ts) / 1000) if state.learned_ts else 0.0)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_S
            metrics.lag.set(self._feed.lag())
            self._sight.look(state.last_version)
            self._bounds.look_for_room()
            if self._journal.state.open is None and self._bounds.is_due(store) and self._leading.is_sure():
                self._bounds.bound(store)

    def _trouble(self, error: Exception) -> None:
        self._problem("trainer", f"the trainer can't go on at present: {error}", "it tries again every few seconds")

    def health(self, reasons: list[str], *, hindered: bool | None = None) -> TrainerHealth:
        """`reasons`: what is wrong, as `problem` heard it; hindered: some of it keeps it from training [if any]."""
        state = self._journal.state
        return TrainerHealth(
            ready=self._state == "standby" or not (bool(reasons) if hindered is None else hindered),
            state=self._state,
            cycle=state.open.cycle if state.open else "",
            why=state.open.why if state.open else "",
            step=self._step,
            progress=self._progress,
            waiting=self._waiting,
            version=state.last_version,
            gate_passed=state.last_passed,
            gate=state.last_reasons,
            clicks=self._store.clicks,
            clicks_since=self._store.newest.total - state.last_total,
            reasons=reasons,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _failure(ended: Ended) -> NextclickError:
    error = NextclickError(ended.error)
    error.exit_code = ended.code
    return error
