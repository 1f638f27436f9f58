"""The baselines that a training shows beside its model: all that cost little of the training's own time.

What counting costs follows from the log: the pairs of clicks that are summed, or the clicks that are sorted. What
ranking costs is timed on a part of the held-out sessions. A baseline that would take more than its share is left out,
and it is said which, and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.data.log import SessionLog
from model.evaluate.baselines.baselines import REACH, make_baseline
from model.evaluate.baselines.counts import LONGEST
from model.evaluate.protocol import Scorer, evaluate

__all__ = ["LEAST_S", "SHARE", "SHOWN", "Shown", "allowance", "counting_seconds", "shown_baselines"]

SHOWN = ("popularity", "next-item", "items-after", "co-occurrence", "vmis-knn")
SHARE = 0.1  # of the training's time that one of them may take
OF_BUDGET = 0.08  # of the whole command's time, where that is limited
LEAST_S = 15.0  # seconds that it may take beside a short training
PAIR_S = 5e-7  # seconds to sum up a pair of clicks, about
CLICK_S = 1e-6  # seconds to sort a click into an index
SAMPLE = 64  # held-out sessions by which ranking is timed

OnBaseline = Callable[[str, dict[str, float], str], None]  # name, its figures ({} if left out), and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What baselines reach on the held-out sessions."""

    figures: dict[str, dict[str, float]]  # of each that was asked
    left_out: dict[str, str]  # why, of the others


def allowance(training_s: float | None, budget_s: float | None = None) -> float:
    """Return the seconds that one baseline may take beside a training of so many (None: a short one), in a budget."""
    most = max(LEAST_S, SHARE * (training_s or 0.0))
    return most if budget_s is None else min(most, OF_BUDGET * budget_s)


def counting_seconds(name: str, log: SessionLog) -> float:
    """Return about how long a baseline counts `log`."""
    lengths = log.lengths
    if name in ("next-item", "items-after"):
        reach = REACH if name == "items-after" else 1
        pairs = sum(int(np.maximum(lengths - distance, 0).sum()) for distance in range(1, reach + 1))
        return pairs * PAIR_S
    if name == "co-occurrence":
        held = np.minimum(lengths, LONGEST)
        return float((held * (held - 1)).sum()) * PAIR_S  # both directions
    return log.clicks * CLICK_S


def shown_baselines(
    log: SessionLog,
    valid: SessionLog,
    window: int,
    *,
    most_s: float = LEAST_S,
    names: Sequence[str] = SHOWN,
    on_baseline: OnBaseline = lambda name, figures, why: None,
    make: Callable[[str, SessionLog], Any] = make_baseline,
) -> Shown:
    """Return the metrics of those baselines, learned from `log`, on `valid`, that take `most_s` seconds at most."""
    found: dict[str, dict[str, float]] = {}
    left_out: dict[str, str] = {}
    train = log.wanted()
    popularity = train.popularity()
    for name in names:
        seconds, what = counting_seconds(name, train), "counting"
        if seconds <= most_s:
            began = time.perf_counter()
            scorer = make(name, train)
            counted_s = time.perf_counter() - began
            seconds, what = counted_s + _ranking_seconds(scorer, valid, window), "counting and ranking"
        if seconds > most_s:
            left_out[name] = f"{what} would take about {seconds:,.0f} s, more than the {most_s:,.0f} s it may take here"
            on_baseline(name, {}, left_out[name])
            continue
        found[name] = evaluate(scorer, valid, window=window, popularity=popularity).to_json()
        on_baseline(name, found[name], "")
    return Shown(figures=found, left_out=left_out)


def _ranking_seconds(scorer: Scorer, valid: SessionLog, window: int) -> float:
    """About how long `scorer` ranks all of `valid`; 0 where a part of it is nearly all."""
    if valid.sessions <= 4 * SAMPLE:
        return 0.0
    part = valid.thinned(SAMPLE)
    return evaluate(scorer, part, window=window).seconds * len(valid.predicted) / max(1, len(part.predicted))
