"""The gate: whether a candidate may take the place of the live model, judged on clicks that neither has learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from export.ranking.ranker import Ranker
from model.cycle.config import GateConfig
from model.data.log import SessionLog
from model.evaluate.judge import FALLBACK, judge, of_baseline, of_ranker, paired_difference
from model.evaluate.metrics import MAIN, SECOND, label

__all__ = ["GateReport", "KeptGate", "pass_gate"]

_COVERAGE = "coverage@20"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The judgement and its reasons; figures by metric name, as `nextclick evaluate --json` has them."""

    passed: bool
    reasons: tuple[str, ...]  # why not, or what was judged with what result: for people
    candidate: dict[str, float]
    live: dict[str, float] | None  # None: nothing is live, or it could not be judged
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    interval: tuple[float, float] | None = None  # of candidate - live, Recall@20, paired by session

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


class KeptGate(msgspec.Struct, frozen=True):
    """A judgement as a cycle keeps it over a kill, in gate.json."""

    gate: GateReport
    live: str  # the version that was live then; empty: none


def pass_gate(
    candidate: Ranker,
    live: Ranker | None,
    learned: SessionLog,
    newest: SessionLog,
    config: GateConfig,
    *,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> GateReport:
    """Judge a candidate on the sessions of `newest` (its own vocabulary), which it has not learned.

    learned: what the baselines count, as the candidate did. The live model is judged on those sessions alone that began
    after its newest click; `say` hears of each step.
    """
    say(f"judging the candidate on {newest.sessions:,} sessions that it has not learned")
    own = judge(of_ranker(candidate), newest)
    beside = {}
    for name in config.baselines:
        say(f"judging {name}")
        beside[name] = judge(of_baseline(name, learned), newest).metrics
    against, passed = _against_baselines(own.metrics, beside, config)
    judged, between = None, None
    if live is not None:
        say(f"judging the live model, version {live.version}")
        unseen = newest.select(newest.ts[newest.offsets[:-1]] > live.bundle.manifest.training.last_ts)
        if unseen.sessions < config.min_sessions:
            against.append(
                f"not compared with the live version {live.version}: {unseen.sessions} of the newest sessions began "
                f"after it had learned, and {config.min_sessions} are needed"
            )
        else:
            theirs, ours = judge(of_ranker(live), unseen), judge(of_ranker(candidate), unseen)
            _, between = paired_difference(ours, theirs, unseen, confidence=config.confidence, seed=seed)
            judged = theirs.metrics
            sizes = len(candidate.vocabulary), len(live.vocabulary)
            found, fit = _against_live(ours.metrics, judged, between, sizes, live.version, config)
            against, passed = [*against, *found], passed and fit
    return GateReport(
        passed=passed,
        reasons=tuple(against),
        candidate=own.metrics,
        live=judged,
        baselines=beside,
        interval=between,
    )


def _against_baselines(
    own: dict[str, float], beside: dict[str, dict[str, float]], config: GateConfig
) -> tuple[list[str], bool]:
    """The reasons, and whether none speaks against the candidate."""
    reasons, passed = [], True
    for name, figures in beside.items():
        bound = figures[MAIN] - config.slack
        fits = own[MAIN] >= bound
        passed = passed and fits
        more = "" if fits else f"; at least {bound:.4f} is asked: train longer, by another preset, or allow for it"
        reasons.append(_words(MAIN, own[MAIN], name, figures[MAIN], more))
    if own[FALLBACK] > config.max_fallback:
        passed = False
        reasons.append(
            f"{own[FALLBACK]:.1%} of its lists are popular items, as it knows no item of the session; at most "
            f"{config.max_fallback:.0%} is allowed: train it on newer clicks"
        )
    return reasons, passed


def _against_live(
    own: dict[str, float],
    live: dict[str, float],
    between: tuple[float, float],
    sizes: tuple[int, int],
    version: str,
    config: GateConfig,
) -> tuple[list[str], bool]:
    """As above. sizes: of both catalogues, one of which may be larger by items that nobody has clicked yet."""
    reasons, passed = [], True
    for metric in (MAIN, SECOND):
        fits = own[metric] >= live[metric] - config.tolerance
        passed = passed and fits
        more = f", interval of the difference {between[0]:+.4f} to {between[1]:+.4f}" if metric == MAIN else ""
        more += "" if fits else f"; it may be {config.tolerance:g} below"
        reasons.append(_words(metric, own[metric], f"live version {version}", live[metric], more))
    as_share, as_items = live[_COVERAGE], live[_COVERAGE] * sizes[1] / sizes[0]
    if own[_COVERAGE] < config.min_coverage * min(as_share, as_items):
        passed = False
        reasons.append(
            f"its lists hold {own[_COVERAGE]:.1%} of its catalogue, those of the live version {live[_COVERAGE]:.1%}: "
            f"at least {config.min_coverage:g} times that is asked"
        )
    return reasons, passed


def _words(metric: str, own: float, name: str, other: float, more: str) -> str:
    return f"{label(metric)} {own:.4f}, {name} {other:.4f}{more}"
