"""Simulated experiments, looked at all the time: false alarms, and how many sessions a better model needs to be found.

    python -m bench.experiments [--tests N] [--uplift SHARE] [--sessions N] [--every N] [--plot FILE.svg] [--json]

Sessions are drawn from a simulated population (bench/data/simulated_sessions.py) and judged by the statistics of
`nextclick experiment replay`. Of A/A tests, in which both variants have the same model, `false_alarms` is the share
that ever found a difference, over all looks; beside it what a test of a fixed size finds when it is looked at as often.
Of A/B tests, in which the second model's hit rate is higher by `--uplift`, `sessions_needed` are the sessions until the
better one is known: of the sequence and of interleaved lists the median over the tests, and the number that is enough
for 80 % of them; of a fixed size, which may be looked at once, that of the usual formula for 80 %.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.simulated_sessions import Population, populate
from export.experiments.preference import Preference
from export.experiments.sequence import SequenceConfig, uplift
from export.experiments.tally import Tally

POWER = 0.8  # share of the tests that find what there is
POPULATION = 20_000  # sessions to draw from

Ints = NDArray[np.int64]
Looks = NDArray[np.float64]  # (R,) sessions at which each test ended; infinite where it did not


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How tests are run."""

    tests: int = 1_000  # R
    sessions: int = 40_000  # of a test, both variants together
    every: int = 100  # sessions between two looks
    seed: int = 0
    sequence: SequenceConfig = field(default_factory=SequenceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """When each test ended, by the way it was judged."""

    alarms: Looks  # A/A, the sequence
    peeked: Looks  # A/A, a test of fixed size looked at all the time
    found: Looks  # A/B, the sequence says that the second is better
    wrong: Looks  # A/B, it says that it is worse
    interleaved: Looks  # lists of both: the sequence says that the second is preferred
    fixed: int  # A/B, sessions that a test of fixed size needs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=1_000, help="of each kind")
    parser.add_argument("--uplift", type=float, default=0.05, help="of the hit rate, in A/B tests")
    parser.add_argument("--sessions", type=int, default=40_000, help="of a test at most")
    parser.add_argument("--every", type=int, default=100, help="sessions between two looks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="svg or png")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    args = parser.parse_args()
    if args.plot and args.plot.suffix not in (".svg", ".png"):
        parser.error("--plot takes a file that ends in .svg or .png")
    if args.tests < 1 or args.every < 1 or args.sessions < args.every or not 0 < args.uplift < 1:
        parser.error("--tests and --every are at least 1, --sessions at least --every, --uplift between 0 and 1")
    setting = Setting(tests=args.tests, sessions=args.sessions, every=args.every, seed=args.seed)
    began = time.perf_counter()
    try:
        population = populate(POPULATION, uplift=args.uplift, seed=args.seed)
    except ValueError as error:
        parser.error(str(error))
    ended = run(population, setting)
    result = summary(population, setting, ended)
    result["seconds"] = round(time.perf_counter() - began, 1)
    if args.plot:
        draw(ended, setting, args.plot)
    print(json.dumps(result, indent=None if args.json else 2))
    sys.exit(0 if result["false_alarms"] <= allowed(setting) else 1)


def allowed(setting: Setting) -> float:
    """The share of false alarms from which on the promise is broken for sure: alpha, and three deviations of so many
    tests."""
    alpha = setting.sequence.alpha
    return alpha + 3 * float(np.sqrt(alpha * (1 - alpha) / setting.tests))


def run(population: Population, setting: Setting) -> Ended:
    """Run all tests, each by a seed of its own."""
    found = np.full((5, setting.tests), np.inf)
    same = columns(population.clicks, population.first_hits)
    better = columns(population.clicks, population.second_hits)
    votes = np.sign(population.second_votes - population.first_votes)
    for number in range(setting.tests):
        rng = np.random.default_rng((setting.seed, number))
        found[:2, number] = one_test(rng, same, same, setting)[:2]
        found[2:4, number] = one_test(rng, same, better, setting)[2:]
        found[4, number] = interleaved(rng, votes, setting)
    alarms, peeked, second, first, preferred = found
    return Ended(
        alarms=alarms,
        peeked=peeked,
        found=second,
        wrong=first,
        interleaved=preferred,
        fixed=fixed_size(tally_of(same.sum(axis=0)), tally_of(better.sum(axis=0)), setting.sequence.alpha),
    )


def one_test(rng: np.random.Generator, control: Ints, variant: Ints, setting: Setting) -> tuple[float, ...]:
    """At how many sessions one test ended: by a difference in the sequence, by one that a test of fixed size sees, by a
    better second, by a worse one. Infinite where it did not."""
    drawn = rng.integers(0, len(control), setting.sessions)
    second = rng.random(setting.sessions) < 0.5
    looks = zip(
        cumulated(np.where(second[:, None], 0, control[drawn]), setting.every),
        cumulated(np.where(second[:, None], variant[drawn], 0), setting.every),
        strict=True,
    )
    any_, peeked, better, worse = (np.inf,) * 4
    z = NormalDist().inv_cdf(1 - setting.sequence.alpha / 2)
    for at, (one, other) in zip(range(setting.every, setting.sessions + 1, setting.every), looks, strict=False):
        seen = uplift(one, other, setting.sequence)
        if seen.difference is None or seen.difference_interval is None:
            continue
        if abs(seen.difference) > z * (one.rate_variance + other.rate_variance) ** 0.5:
            peeked = min(peeked, at)
        if seen.is_better or seen.is_worse:
            any_ = at
            better, worse = (at, np.inf) if seen.is_better else (np.inf, at)
            break  # an experiment ends there; what peeking finds, it found before
    return any_, peeked, better, worse


def interleaved(rng: np.random.Generator, votes: Ints, setting: Setting) -> float:
    """After how many sessions with lists of both models the second is known to be preferred; infinite where it never
    is, or the first one is said to be."""
    drawn = votes[rng.integers(0, len(votes), setting.sessions)]
    counts = np.stack((drawn < 0, drawn > 0), axis=1)
    totals = grouped(counts.astype(np.int64), setting.every)
    for at, (first, second) in enumerate(totals.tolist(), 1):
        bounds = Preference(first=first, second=second).interval(setting.sequence)
        if bounds is not None and not bounds[0] <= 0.5 <= bounds[1]:
            return at * setting.every if bounds[0] > 0.5 else np.inf
    return np.inf


def columns(clicks: Ints, hits: Ints) -> Ints:
    """What a session adds to the fields of a tally: (S, 6)."""
    return np.stack((np.ones_like(clicks), clicks, hits, clicks * clicks, hits * clicks, hits * hits), axis=1)


def tally_of(sums: Ints) -> Tally:
    """A tally of the sums of `columns`, (6,)."""
    sessions, clicks, hits, nn, hn, hh = (int(value) for value in sums)
    return Tally(sessions=sessions, clicks=clicks, hits=hits, nn=nn, hn=hn, hh=hh)


def cumulated(rows: Ints, every: int) -> Iterator[Tally]:
    """The tally at each look."""
    return map(tally_of, grouped(rows, every))


def grouped(rows: Ints, every: int) -> Ints:
    """Sums of the first `every` rows, of the first 2 * `every`, and so on."""
    whole = len(rows) // every
    totals: Ints = rows[: whole * every].reshape(whole, every, -1).sum(axis=1).cumsum(axis=0)
    return totals


def fixed_size(control: Tally, variant: Tally, alpha: float) -> int:
    """Sessions, both variants together, at which a two-sided test finds the difference with POWER: the usual formula,
    with the variance of a session's part in a hit rate."""
    assert control.hit_rate is not None
    assert variant.hit_rate is not None
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)
    spread = control.rate_variance * control.sessions + variant.rate_variance * variant.sessions
    return int(np.ceil(2 * z * z * spread / (variant.hit_rate - control.hit_rate) ** 2))


def summary(population: Population, setting: Setting, ended: Ended) -> dict[str, Any]:
    """What is printed. `sessions_needed` are None where too few tests found the better model."""
    return {
        "false_alarms": share(ended.alarms),
        "false_alarms_fixed_size_looked_at": share(ended.peeked),
        "sessions_needed": {
            "sequence": needed(ended.found),
            "fixed_size": {"enough_for_80%": ended.fixed},
            "interleaved": needed(ended.interleaved),
        },
        "found": share(ended.found),
        "found_interleaved": share(ended.interleaved),
        "wrong": share(ended.wrong),
        "tests": setting.tests,
        "sessions": setting.sessions,
        "every": setting.every,
        "alpha": setting.sequence.alpha,
        "tightest_at": setting.sequence.tightest_at,
        "hit_rate": round(float(population.first_hits.sum() / population.clicks.sum()), 4),
        "uplift": round(population.uplift, 4),
    }


def needed(ends: Looks) -> dict[str, int | None]:
    """Sessions that are enough for half of the tests, and for 80 % of them."""
    at = np.quantile(ends, (0.5, POWER), method="higher")
    median, most = (int(value) if np.isfinite(value) else None for value in at)
    return {"median": median, "enough_for_80%": most}


def share(ends: Looks) -> float:
    """Of the tests, those that ended."""
    return round(float(np.isfinite(ends).mean()), 4)


def draw(ended: Ended, setting: Setting, path: Path) -> None:
    """Write both panels to `path`, in the format of its suffix."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    at = np.arange(setting.every, setting.sessions + 1, setting.every)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for ends, words, color in (
        (ended.peeked, "fixed-size test, looked at each time", "C1"),
        (ended.alarms, "confidence sequence", "C0"),
    ):
        left.plot(at, _by(ends, at), color=color, label=words)
    alpha = setting.sequence.alpha
    left.axhline(alpha, color="0.4", linestyle="--", linewidth=1, label=f"promised: at most {alpha:g}")
    left.set(title="Same model twice: false alarms so far", ylabel="share of the tests")
    for ends, words, color in (
        (ended.interleaved, "interleaved lists, sequence", "C2"),
        (ended.found, "split sessions, sequence", "C0"),
    ):
        right.plot(at, _by(ends, at), color=color, label=words)
    right.plot([ended.fixed], [POWER], "o", color="C1", label="fixed-size test, looked at once")
    right.axhline(POWER, color="0.4", linestyle="--", linewidth=1)
    right.set(title="A better model: found so far", ylim=(0, 1.02))
    for axes in (left, right):
        axes.set(xlabel=f"sessions, looked at every {setting.every}", xlim=(0, setting.sessions))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="best")
    image = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "nextclick"}):  # the same figures give the same file
        figure.savefig(image, format=path.suffix[1:], dpi=120, metadata={"Date": None} if path.suffix == ".svg" else {})
    path.write_bytes(image.getvalue())


def _by(ends: Looks, at: Ints) -> NDArray[np.float64]:
    """Share of the tests that had ended by each number of sessions."""
    return np.searchsorted(np.sort(ends), at, side="right") / len(ends)


if __name__ == "__main__":
    main()
