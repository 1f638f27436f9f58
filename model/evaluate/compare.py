"""Several systems on the same predictions, with intervals: `nextclick evaluate --compare`.

A system is a bundle, through the ranker that serves it, or a baseline. Each ranks its whole catalogue by the protocol
of `protocol.py`; clicks on items that not every system knows are left out for all of them, so that all predict the
same clicks from the same clicks.

Legend: S sessions, P predictions, C columns (a measure of a system).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import load_bundle
from export.bundle.vocabulary import PAD, Vocabulary
from export.errors import ConfigError
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.addresses import local_bundle
from model.data.log import SessionLog
from model.data.readers import KINDS, POSITIVES, RawLog, ReadOptions, build_log
from model.evaluate.baselines.baselines import BASELINES, bounded, make_baseline
from model.evaluate.bootstrap import interval, resampled_means
from model.evaluate.groups import Grouped, grouped, groups_of_column, standing_groups
from model.evaluate.metrics import gains
from model.evaluate.protocol import EvaluationResult, Scorer, evaluate
from model.evaluate.report import Say, read_aloud, silent, tell_overlap, with_column

__all__ = [
    "CompareConfig",
    "Comparison",
    "System",
    "SystemFigures",
    "baseline_systems",
    "check_names",
    "common_log",
    "compare",
    "compare_systems",
    "intervals",
    "load_ranker",
    "session_sums",
    "translated",
]

DIFFERENCES = ("recall", "mrr")  # also given as a difference to the first system

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """How sure the intervals are, and how they are drawn."""

    resamples: int = 1000  # of sessions; 1,000 place the bounds of a 95 % interval to about a tenth of its half width
    confidence: float = 0.95  # share of the resamples inside an interval
    seed: int = 0  # the same seed gives the same intervals

    def __post_init__(self) -> None:
        """ConfigError for a value that can't be."""
        if self.resamples < 1 or not 0 < self.confidence < 1:
            raise ConfigError(f"not usable: {self.resamples} resamples with a confidence of {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One of those compared."""

    name: str  # as the user named it
    vocabulary: Vocabulary  # the items it ranks
    scorer: Callable[[], Scorer]  # made when its turn comes, and let go after it
    popularity: NDArray[np.int64]  # (V,) clicks that it learned from
    window: int | None = None  # newest clicks it is given; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFigures:
    """What one system reached."""

    name: str
    metrics: dict[str, float]  # as EvaluationResult
    ci: dict[str, tuple[float, float]]  # low and high by measure; coverage has none
    vs_first: dict[str, tuple[float, float, float]]  # paired difference, low, high; {} for the first system
    sessions_per_s: float
    groups: Grouped = field(default_factory=dict)  # its figures by repeats, length, frequency, and a column

    def to_json(self) -> dict[str, Any]:
        """Return one flat object, intervals as lists under `ci` and `vs_first`."""
        return {
            "name": self.name,
            **self.metrics,
            "sessions_per_s": round(self.sessions_per_s, 1),
            "ci": {name: list(bounds) for name, bounds in self.ci.items()},
            "vs_first": {name: list(bounds) for name, bounds in self.vs_first.items()},
            "groups": self.groups,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All systems on one log, in the order they were named."""

    systems: list[SystemFigures]
    sessions: int
    predictions: int
    confidence: float  # of the intervals

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        systems = [system.to_json() for system in self.systems]
        return {"systems": systems, "sessions": self.sessions, "predictions": self.predictions}


def compare_systems(
    names: Sequence[str],
    data: Path,
    read: ReadOptions,
    *,
    train: Path | None = None,
    cutoffs: Sequence[int] = (20,),
    threads: int = 0,
    config: CompareConfig | None = None,
    by: str | None = None,
    say: Say = silent,
) -> Comparison:
    """Return the figures of bundles (their folders or URLs) and baselines (their names; counted on the log `train`).

    `say` is told what was left out, and what comes next. ConfigError for fewer than two names, one that is neither, a
    baseline without `train` or a cut-off above a bundle's `k_max`; BundleError; DataError where no click is left.
    """
    bundles = check_names(names, train)
    rankers = {name: load_ranker(name, cutoffs, threads) for name in bundles}
    if any(ranker.typed for ranker in rankers.values()):
        read = replace(read, kinds=frozenset(KINDS))
    raw = read_aloud(data, with_column(read, by), say)
    systems: list[System] = []
    if train is not None:
        learned = read_aloud(train, replace(read, kinds=POSITIVES), say)  # what baselines count
        tell_overlap(learned, raw, say)
        systems = baseline_systems([name for name in names if name not in bundles], learned, say)
    systems += [
        System(
            name=name,
            vocabulary=ranker.vocabulary,
            scorer=partial(_same, ranker),
            popularity=ranker.bundle.popularity,
            window=ranker.window,
        )
        for name, ranker in rankers.items()
    ]
    by_name = {system.name: system for system in systems}
    return compare([by_name[name] for name in names], raw, cutoffs=cutoffs, config=config, say=say)


def check_names(names: Sequence[str], train: Path | None) -> list[str]:
    """Return those names that are bundles; a baseline's name means the baseline, even beside a folder called so."""
    if len(names) < 2:
        raise ConfigError(f"a comparison takes two systems or more, bundles or baselines: {len(names)} named")
    bundles = [name for name in dict.fromkeys(names) if name not in BASELINES]
    for name in bundles:
        if "://" not in name and not Path(name).is_dir():
            raise ConfigError(f"{name!r} is no folder of a bundle and no baseline; baselines: {', '.join(BASELINES)}")
    if train is None and len(bundles) < len(set(names)):
        counted = next(name for name in names if name in BASELINES)
        raise ConfigError(f"{counted} is a baseline, which counts a log: name it with --train PATH")
    return bundles


def load_ranker(bundle: str, cutoffs: Sequence[int], threads: int) -> Ranker:
    """Return the ranker of a bundle that can return lists as long as the largest cut-off."""
    ranker = Ranker(load_bundle(local_bundle(bundle)), RankerConfig(threads=threads))
    ranker.check_k(min(max(cutoffs, default=1), len(ranker.vocabulary)))
    return ranker


def baseline_systems(names: Sequence[str], train: RawLog, say: Say = silent) -> list[System]:
    """Return baselines that share one counted log; `say` is told where they don't count all of it."""
    if not names:
        return []
    counted = build_log(train)
    popularity = counted.popularity()
    for note in filter(None, (bounded(name, counted) for name in names)):
        say(note)
    return [
        System(
            name=name,
            vocabulary=counted.vocabulary,
            scorer=partial(make_baseline, name, counted),
            popularity=popularity,
        )
        for name in names
    ]


def compare(
    systems: Sequence[System],
    raw: RawLog,
    *,
    cutoffs: Sequence[int] = (20,),
    config: CompareConfig | None = None,
    say: Say = silent,
) -> Comparison:
    """Return the figures of systems on the clicks of `raw` that all of them know."""
    config = config or CompareConfig()
    log = common_log(systems, raw, say)
    results, groups = [], []
    column = groups_of_column(raw, log.vocabulary)
    for system in systems:
        say(f"ranking with {system.name}")
        own = translated(log, system.vocabulary)
        popularity = system.popularity
        results.append(evaluate(system.scorer(), own, cutoffs=cutoffs, window=system.window, popularity=popularity))
        kinds = [*standing_groups(own, popularity), *([] if column is None else [column])]
        groups.append(grouped(results[-1].ranks, kinds, cutoffs))
    ci, vs_first = intervals(results, log, cutoffs, config)
    figures = [
        SystemFigures(
            name=system.name,
            metrics=result.metrics,
            ci=c,
            vs_first=v,
            sessions_per_s=result.sessions_per_s,
            groups=broken_down,
        )
        for system, result, c, v, broken_down in zip(systems, results, ci, vs_first, groups, strict=True)
    ]
    sessions, predictions = results[0].sessions, results[0].predictions
    return Comparison(systems=figures, sessions=sessions, predictions=predictions, confidence=config.confidence)


def common_log(systems: Sequence[System], raw: RawLog, say: Say) -> SessionLog:
    """Return the sessions over the items that every system knows; `say` is told what that leaves out."""
    known = set(systems[0].vocabulary.items).intersection(*(system.vocabulary.items for system in systems[1:]))
    vocabulary = Vocabulary(item for item in systems[0].vocabulary.items if item in known)
    of_item = np.array([name in known for name in raw.item_names()], bool)  # (I,)
    kept = int(np.count_nonzero(of_item[raw.items]))
    log = build_log(raw, vocabulary)
    say(
        f"left out {raw.clicks - kept:,} of {raw.clicks:,} clicks, on items that not every system knows, "
        f"and {kept - log.clicks:,} more of sessions with fewer than two clicks"
    )
    return log


def translated(log: SessionLog, vocabulary: Vocabulary) -> SessionLog:
    """Return the log in the catalogue ids of a vocabulary that has all of its items."""
    ids = np.array([PAD, *(vocabulary.index(item) for item in log.vocabulary.items)], np.int32)  # (V + 1,)
    return replace(log, items=ids[log.items], vocabulary=vocabulary)


def intervals(
    results: Sequence[EvaluationResult], log: SessionLog, cutoffs: Sequence[int], config: CompareConfig
) -> tuple[list[dict[str, tuple[float, float]]], list[dict[str, tuple[float, float, float]]]]:
    """Return, for each system, the interval of each mean, and the paired differences to the first with theirs."""
    log = log.wanted()
    counts = (log.lengths - 1).astype(np.float64)  # (S,) predictions of each session
    sums = [session_sums(result.ranks, log, cutoffs) for result in results]  # a system: measure -> (S,)
    columns = [(at, name) for at, measures in enumerate(sums) for name in measures]
    stacked = np.column_stack([sums[at][name] for at, name in columns])  # (S, C)
    means = resampled_means(stacked, counts, resamples=config.resamples, seed=config.seed)  # (R, C)
    place = {column: at for at, column in enumerate(columns)}
    ci: list[dict[str, tuple[float, float]]] = [{} for _ in results]
    vs_first: list[dict[str, tuple[float, float, float]]] = [{} for _ in results]
    for at, name in columns:
        ci[at][name] = interval(means[:, place[at, name]], config.confidence)
        if at and name.split("@")[0] in DIFFERENCES:
            paired = means[:, place[at, name]] - means[:, place[0, name]]  # (R,)
            found = results[at].metrics[name] - results[0].metrics[name]
            vs_first[at][name] = (found, *interval(paired, config.confidence))
    return ci, vs_first


def session_sums(ranks: NDArray[np.int32], log: SessionLog, cutoffs: Sequence[int]) -> dict[str, Floats]:
    """Return what the predictions (P,) of each session add up to by measure, (S,); sessions have two clicks or more."""
    session = np.repeat(np.arange(log.sessions), log.lengths - 1)  # (P,)
    sums: dict[str, Floats] = {}
    for k in sorted(cutoffs):
        for name, gain in gains(k, max(cutoffs)).items():
            sums[f"{name}@{k}"] = np.bincount(session, gain[ranks], minlength=log.sessions).astype(np.float64)
    return sums


def _same(scorer: Scorer) -> Scorer:
    return scorer
