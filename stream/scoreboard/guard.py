"""Guard rails: a variant that harms its sessions is found by itself.

Each is a comparison with the control, so that what is slow or empty for everybody stops nobody:

    hit_rate   surely far below the control's, by the confidence sequence: looking all the time is no fault
    fallback   far more of its lists are of popular items, or empty
    latency    the slowest hundredth of its lists comes far later
    errors     its sessions get something else: the workers can't serve it, or its runs fail

Fallback and latency are of a window of lists, so that a variant that was fine for days is stopped within minutes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from export.checks import require_finite
from export.errors import ConfigError
from export.experiments.experiment import CONTROL, INTERLEAVED, Experiment, Variant
from export.experiments.ratio import is_ratio_ok
from export.experiments.sequence import SequenceConfig, uplift
from stream.scoreboard.board import Board, Latency, Row

__all__ = ["Breach", "Guard", "GuardConfig", "Rail"]

Rail = Literal["hit_rate", "fallback", "latency", "errors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """How much worse than the control a variant may be. ConfigError for values that can't be."""

    hit_rate: float = 0.10  # share of the control's hit rate that may be lost for sure
    fallback: float = 0.20  # more of its lists may be popular items
    latency_ratio: float = 3.0  # times the control's p99
    latency_ms: float = 100.0  # and so much later, below which nobody feels it
    errors: float = 0.20  # of its promised sessions that may be missing
    window: int = 500  # lists of a variant, and of the control, that are compared at a time

    def __post_init__(self) -> None:
        require_finite(self)
        if not (0 < self.hit_rate < 1 and 0 < self.fallback < 1 and 0 < self.errors < 1):
            raise ConfigError("guard rails for hit rate, fallback and errors are shares, between 0 and 1")
        if self.latency_ratio < 1 or self.latency_ms < 0 or self.window < 1:
            raise ConfigError("guard rails: latency_ratio from 1 on, latency_ms from 0, window from 1 list")


class Breach(NamedTuple):
    """What is to be stopped. `variant` is empty where lists are interleaved: the experiment is stopped whole then."""

    experiment: str
    variant: str
    rail: Rail
    reason: str


@dataclass(slots=True)
class _Window:
    """A row as it was when the window began."""

    lists: int = 0
    fallbacks: int = 0
    latency: Latency = field(default_factory=Latency)

    @classmethod
    def at(cls, row: Row) -> "_Window":
        own = row.state
        return cls(own.lists, own.fallbacks, Latency(list(own.latency.counts)))

    def since(self, row: Row) -> "_Window":
        own = row.state
        return _Window(own.lists - self.lists, own.fallbacks - self.fallbacks, own.latency.since(self.latency))


@dataclass(slots=True)
class _Watched:
    """An experiment since it was first seen running; one that is started again is another one."""

    started_ts: int
    shown: dict[str, int]  # sessions by variant, before
    windows: dict[str, tuple[_Window, _Window]] = field(default_factory=dict)  # variant -> its own, the control's


class Guard:
    """Asked from time to time, by one thread."""

    def __init__(self, config: GuardConfig, sequence: SequenceConfig) -> None:
        self._config, self._sequence = config, sequence
        self._watched: dict[str, _Watched] = {}

    def look(self, board: Board, experiments: Iterable[Experiment]) -> list[Breach]:
        """What is to be stopped now, of the experiments that run; one reason for each."""
        found: list[Breach] = []
        running = {one.experiment: one for one in experiments if one.state == "running"}
        self._watched = {name: one for name, one in self._watched.items() if name in running}
        for name, one in running.items():
            rows = {variant: row for (experiment, variant), row in board.variants.items() if experiment == name}
            watched = self._watched.get(name)
            if watched is None or watched.started_ts != one.started_ts:
                shown = {variant: row.state.shown for variant, row in rows.items()}
                watched = self._watched[name] = _Watched(one.started_ts, shown)
            found += self._interleaved(one, rows) if one.interleave else self._split(one, rows, watched)
        return found

    def _interleaved(self, one: Experiment, rows: Mapping[str, Row]) -> list[Breach]:
        """Both models are in every list: only what shoppers prefer tells them apart."""
        row = rows.get(INTERLEAVED)
        if row is None:
            return []
        names, preference = row.preference
        if len(names) == 2 and names != tuple(variant.name for variant in one.variants):
            preference = preference.swapped()
        bounds = preference.interval(self._sequence) if len(names) == 2 else None
        worst = 0.5 - self._config.hit_rate  # as .1 below the control's hit rate: two votes in five, not in two
        if bounds is None or bounds[1] >= worst:
            return []
        reason = f"{bounds[1]:.0%} of the sessions at most prefer {one.variants[1].name}; {worst:.0%} is the least"
        return [Breach(one.experiment, "", "hit_rate", reason)]

    def _split(self, one: Experiment, rows: Mapping[str, Row], watched: _Watched) -> list[Breach]:
        control = rows.get(one.variants[CONTROL].name)
        found = []
        for variant in one.variants[CONTROL + 1 :]:
            if variant.stopped:
                continue
            row = rows.get(variant.name)
            told = self._errors(one, variant, rows, watched)
            if told is None and row is not None and control is not None:
                told = self._window(variant, row, control, watched) or self._hit_rate(row, control)
            if told is not None:
                found.append(Breach(one.experiment, variant.name, *told))
        return found

    def _hit_rate(self, row: Row, control: Row) -> tuple[Rail, str] | None:
        beside, rate = uplift(control.tally, row.tally, self._sequence), control.tally.hit_rate
        if beside.difference_interval is None or not rate:
            return None
        # Relative bounds are the tighter ones; of a variant without any hit there are none
        least = -(beside.interval[1] if beside.interval is not None else beside.difference_interval[1] / rate)
        if least <= self._config.hit_rate:
            return None
        return (
            "hit_rate",
            f"its hit rate is {least:.0%} below the control's at least; {self._config.hit_rate:.0%} may be",
        )

    def _errors(
        self, one: Experiment, variant: Variant, rows: Mapping[str, Row], watched: _Watched
    ) -> tuple[Rail, str] | None:
        served = [other for other in one.variants if not other.stopped]
        counts = [
            max(0, rows[other.name].state.shown - watched.shown.get(other.name, 0)) if other.name in rows else 0
            for other in served
        ]
        others = sum(counts) - counts[served.index(variant)]
        if not others or one.variants[CONTROL].stopped:
            return None
        expected = others * variant.share / (sum(other.share for other in served) - variant.share)
        own = counts[served.index(variant)]
        if own >= (1 - self._config.errors) * expected or is_ratio_ok(counts, [other.share for other in served]):
            return None
        return "errors", (
            f"{own:,} sessions were shown it, of about {expected:,.0f} that were to be: workers can't serve it, or its "
            "runs fail, and the live model answers in its place; /health of the workers says why"
        )

    def _window(self, variant: Variant, row: Row, control: Row, watched: _Watched) -> tuple[Rail, str] | None:
        began = watched.windows.setdefault(variant.name, (_Window.at(row), _Window.at(control)))
        own, beside = began[0].since(row), began[1].since(control)
        if min(own.lists, beside.lists) < self._config.window:
            return None
        watched.windows[variant.name] = (_Window.at(row), _Window.at(control))
        last, share, usual = f"its last {own.lists:,} lists", own.fallbacks / own.lists, beside.fallbacks / beside.lists
        if share > usual + self._config.fallback:
            return "fallback", f"{share:.0%} of {last} are of popular items, or empty; {usual:.0%} of the control's"
        slow, pace = own.latency.quantile(0.99), beside.latency.quantile(0.99)
        if slow is None or pace is None or slow - pace <= self._config.latency_ms:
            return None
        if slow <= self._config.latency_ratio * pace:
            return None
        return "latency", f"the slowest hundredth of {last} took over {slow:,.0f} ms, of the control's {pace:,.0f} ms"
