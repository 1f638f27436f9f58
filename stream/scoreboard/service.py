"""The scoreboard as a service: counts, follows the experiments, stops variants that do harm, keeps a history."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from export.checks import require_finite
from export.errors import ConfigError, NextclickError
from stream.erasure.teller import ErasureTeller
from stream.ops.problems import Problems
from stream.ops.web import WebServer
from stream.scoreboard.config import ScoreboardConfig
from stream.scoreboard.experiments import FollowedExperiments
from stream.scoreboard.figures import figures
from stream.scoreboard.guard import Breach, Guard, GuardConfig
from stream.scoreboard.history import History
from stream.scoreboard.lookout import Lookout
from stream.scoreboard.metrics import ScoreboardMetrics
from stream.scoreboard.reader import Scoreboard
from stream.scoreboard.state import StateFolder
from stream.scoreboard.stopper import Stopper
from stream.topic_names import Topics

__all__ = ["ScoreboardHealth", "ScoreboardService", "ServiceConfig"]

log = logging.getLogger(__name__)

_HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a scoreboard does beside counting. Times in seconds."""

    state: Path | None = None  # folder of the state and the history; None: neither is kept
    guard: GuardConfig | None = field(default_factory=GuardConfig)  # None: nothing is stopped
    guard_every_s: float = 5.0
    history_every_s: float = 60.0
    every_s: float = 5.0  # between two pictures of whoever shows it
    tick_s: float = 0.5

    def __post_init__(self) -> None:
        require_finite(self)
        if min(self.guard_every_s, self.history_every_s, self.every_s, self.tick_s) <= 0:
            raise ConfigError("the times between two looks must be above 0 seconds")


class ScoreboardHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: 503 while messages can't be read."""

    ready: bool
    behind: dict[str, int]  # messages that were not counted yet, by topic
    clicks: int  # read
    judged: int
    lists: int
    experiments: list[str]  # that run
    reasons: list[str]  # what is wrong, with the remedy


class ScoreboardService:
    """One scoreboard. `run` and `once` belong to one thread; `figures` and `health` to any."""

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics = Topics(),
        extra: Mapping[str, str] | None = None,
        *,
        counting: ScoreboardConfig | None = None,
        config: ServiceConfig | None = None,
    ) -> None:
        self._config, self._counting = config or ServiceConfig(), counting or ScoreboardConfig()
        folder = self._config.state
        self._scores = Scoreboard(
            bootstrap_servers,
            topics,
            extra,
            config=self._counting,
            state=None if folder is None else StateFolder(folder),
            teller=ErasureTeller("scoreboard", bootstrap_servers, topics.erasures, extra),
        )
        self._experiments = FollowedExperiments(bootstrap_servers, topics, extra)
        self._history = None if folder is None else History(folder / _HISTORY)
        guard = self._config.guard
        self._guard = None if guard is None else Guard(guard, self._counting.sequence)
        self._stopper = Stopper(bootstrap_servers, topics, extra)
        self.metrics = ScoreboardMetrics(self.figures)
        self._problems = Problems(self.metrics.problem)
        self._lookout = Lookout(self._scores, self._experiments, topics, self._problems, self.metrics)
        self._to_stop: dict[tuple[str, str], Breach] = {}  # by experiment and variant
        self._guarded_at = self._noted_at = 0.0

    def once(self, stop: threading.Event, *, wait_s: float = 10.0) -> dict[str, Any]:
        """Count all that there is, keep the state, and return the figures. Nothing is stopped. Errors as of `run`."""
        try:
            self._scores.open()
            until = time.monotonic() + wait_s
            while not (self._experiments.caught_up or self._experiments.missing or time.monotonic() > until):
                self._experiments.follow(self._config.tick_s)
            self._scores.read_to_end(stop)
            self._lookout.look()
            self._lookout.look_at_shares()
            self._note()
            return self.figures()
        finally:
            self._close()

    def run(self, stop: threading.Event, on_tick: Callable[[], None] = lambda: None) -> None:
        """Until `stop` is set. TopicError, also where a topic is deleted or made again later; BadState; where no broker
        answers at the start, BrokerUnavailable."""
        try:
            self._scores.start()
            while not stop.is_set():
                self._experiments.follow(self._config.tick_s)
                self._scores.check()
                self._lookout.look()
                now = time.monotonic()
                if now - self._guarded_at >= self._config.guard_every_s:
                    self._guarded_at = now
                    self._lookout.look_at_topics()
                    self._lookout.look_at_shares()
                    self._keep_from_harm()
                if now - self._noted_at >= self._config.history_every_s:
                    self._note()
                on_tick()
            self._note()
        finally:
            self._close()

    def figures(self) -> dict[str, Any]:
        """All of them, as figures.figures gives them; and `behind`, the messages that were not counted yet."""
        scores = self._scores
        with scores.lock:
            known = dict(self._experiments.known)
            found = figures(
                scores.board,
                scores.join.items,
                scores.join.counts,
                scores.lanes.dropped,
                known,
                self._counting.sequence,
            )
        return found | {"behind": dict(scores.behind)}

    def web(self, host: str, port: int) -> WebServer:
        """A server of /health, /metrics, and /scores, the figures as JSON; it does not listen yet."""
        return WebServer(host, port, self.health, self.metrics, {"/scores": self.figures})

    def health(self) -> ScoreboardHealth:
        """What /health says."""
        lasting = self._problems.lasting()
        counts = self._scores.join.counts
        return ScoreboardHealth(
            ready=not any(problem.unready for problem in lasting),
            behind=dict(self._scores.behind),
            clicks=counts.clicks,
            judged=counts.judged,
            lists=counts.lists,
            experiments=sorted(name for name, one in list(self._experiments.known.items()) if one.state == "running"),
            reasons=[str(problem) for problem in lasting],
        )

    def _keep_from_harm(self) -> None:
        if self._guard is None:
            return
        known = dict(self._experiments.known)
        with self._scores.lock:
            found = self._guard.look(self._scores.board, known.values())
        self._to_stop |= {(breach.experiment, breach.variant): breach for breach in found}
        for key, breach in list(self._to_stop.items()):
            if self._stop(breach):
                del self._to_stop[key]
        if not self._to_stop:
            self._problems.clear("not_stopped")

    def _stop(self, breach: Breach) -> bool:
        """Whether it is stopped; if not, it is tried again with the next look."""
        what = f"variant {breach.variant} of experiment {breach.experiment}" if breach.variant else breach.experiment
        try:
            changed = self._stopper.stop(breach)
        except NextclickError as error:
            self._problems.raise_(
                "not_stopped",
                f"{what} does harm ({breach.reason}), and could not be stopped: {error}",
                f"it is tried again; by hand: `nextclick experiment stop {breach.experiment}`",
            )
            return False
        if changed is not None:
            self._experiments.known[breach.experiment] = (
                changed  # before it comes by the topic: nothing is stopped twice
            )
            self.metrics.stopped.labels(breach.experiment, breach.variant, breach.rail).inc()
            log.error("%s was stopped by its guard rail %s: %s", what, breach.rail, breach.reason)
        return True

    def _note(self) -> None:
        self._noted_at = time.monotonic()
        if self._history is None:
            return
        try:
            self._history.add(time.time_ns() // 1_000_000, self.figures())
            self._problems.clear("no_history")
        except OSError as error:
            self._problems.raise_("no_history", f"the history can't be written: {error}", "make room")

    def _close(self) -> None:
        self._scores.close()
        self._experiments.close()
