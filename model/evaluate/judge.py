"""Systems as shoppers would meet them, on the same clicks: what a model does not know counts against it.

`model.evaluate.compare` leaves out clicks on items that not every system knows, as the published evaluations do. Here a
candidate with new items stands beside a live model without them, and to leave those clicks out would hide what a fresh
model is for. So each position after the first of a session is one prediction for every system: items that it does not
know are left out of what it is given, a session with none left gets its popular items (`fallback`), and a target that
it does not know is not found.

Legend: P predictions, S sessions, V items of a system, I items of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.ranking.ranker import Ranker
from model.data.log import SessionLog
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.bootstrap import interval, resampled_means
from model.evaluate.compare import session_sums
from model.evaluate.metrics import CUTOFF, MAIN, Metrics
from model.evaluate.protocol import Scorer, as_read, prefixes

__all__ = [
    "FALLBACK",
    "Judged",
    "Judgement",
    "judge",
    "of_baseline",
    "of_ranker",
    "overlap_of_lists",
    "paired_difference",
]

FALLBACK = "fallback"  # share of the predictions that popularity answered
_BATCH = 128
_RESAMPLES = 1_000
_COMPARED = 2_000  # lists of two rankers


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One of those who are judged."""

    vocabulary: Vocabulary
    popularity: NDArray[np.int64]  # (V,) clicks of catalogue ids 1..V
    scorer: Callable[[], Scorer]  # made when its turn comes
    window: int | None = None  # newest clicks it is given; None: all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """What one of them reached."""

    metrics: dict[str, float]  # recall@20, mrr@20, ndcg@20, coverage@20, predictions, fallback
    ranks: NDArray[np.int32]  # (P,) by click, from 1; 0: not found


def of_ranker(ranker: Ranker) -> Judged:
    """A bundle, through the ranker that serves it."""
    bundle = ranker.bundle
    return Judged(
        vocabulary=bundle.vocabulary,
        popularity=bundle.popularity,
        scorer=lambda: ranker,
        window=bundle.manifest.window,
    )


def of_baseline(name: str, log: SessionLog) -> Judged:
    """A baseline that counts `log`."""
    return Judged(
        vocabulary=log.vocabulary,
        popularity=log.popularity(),
        scorer=lambda: make_baseline(name, log.wanted()),
        window=None,
    )


def judge(one: Judged, log: SessionLog, *, k: int = CUTOFF, exclude_seen: bool = False) -> Judgement:
    """Return the figures at k of one system on `log`, whose vocabulary is the log's own.

    exclude_seen: items of the session are kept out of its list; for rankers only, which know how.
    """
    own = np.array([PAD, *(one.vocabulary.index(item) for item in log.vocabulary.items)], np.int32)  # (I + 1,)
    scorer, places = one.scorer(), min(k, len(one.vocabulary))
    log = as_read(scorer, log)
    popular = np.lexsort((np.arange(len(one.popularity)), -one.popularity))[:places].astype(np.int32) + PAD + 1  # (K,)
    starts, targets = prefixes(log)
    metrics = Metrics(len(one.vocabulary), (k,))
    ranks, fallbacks = np.zeros(len(targets), np.int32), 0
    for first in range(0, len(targets), _BATCH):
        batch = slice(first, first + _BATCH)
        spans = list(zip(starts[batch].tolist(), targets[batch].tolist(), strict=True))
        given = [own[log.items[a:b]] for a, b in spans]
        wants = [log.is_wanted[a:b] & (items != PAD) for (a, b), items in zip(spans, given, strict=True)]
        known = [items[items != PAD] for items in given]
        some = [row for row, wanted in enumerate(wants) if wanted.any()]
        told: dict[str, Any] = {}
        if log.kinds is not None and getattr(scorer, "typed", False):
            codes = [log.kinds[a:b][items != PAD] for (a, b), items in zip(spans, given, strict=True)]
            told["kinds"] = [codes[row].astype(np.int32) for row in some]
        ids = np.tile(popular, (len(known), 1))  # (B, K)
        if some:
            newest = None if one.window is None else -one.window
            told = {name: [row[newest:] for row in rows] for name, rows in told.items()}
            asked = [known[row][newest:] for row in some]
            if exclude_seen:
                assert isinstance(scorer, Ranker), "a baseline excludes nothing"
                ids[some] = scorer.rank(asked, places, [np.unique(known[row]) for row in some], **told)[0]
            else:
                ids[some] = np.asarray(scorer.rank(asked, places, **told)[0])
        fallbacks += len(known) - len(some)
        wanted = own[log.items[targets[batch]]]
        ranks[batch] = metrics.add(ids, np.where(wanted == PAD, -1, wanted))
    figures = {**metrics.result(), "predictions": float(len(targets)), FALLBACK: fallbacks / max(1, len(targets))}
    return Judgement(metrics=figures, ranks=ranks[np.argsort(targets)])


def paired_difference(
    first: Judgement, second: Judgement, log: SessionLog, *, metric: str = MAIN, confidence: float, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Return how much `first` is above `second`, and the interval of that by a paired bootstrap over sessions."""
    log = log.wanted()
    sums = _sums((first, second), log, metric)
    means = resampled_means(sums, (log.lengths - 1).astype(np.float64), resamples=_RESAMPLES, seed=seed)  # (R, 2)
    return first.metrics[metric] - second.metrics[metric], interval(means[:, 0] - means[:, 1], confidence)


def overlap_of_lists(one: Ranker, other: Ranker, log: SessionLog) -> float:
    """Mean share of items that two rankers' lists of 20 have in common, over sessions that both know."""
    log = log.wanted()
    starts, targets = prefixes(log)
    every = np.linspace(0, len(targets) - 1, min(len(targets), _COMPARED)).astype(np.int64)
    names = log.vocabulary.items
    sessions = [[names[item - 1] for item in log.items[starts[at] : targets[at]].tolist()] for at in every]
    k = min(CUTOFF, one.k_max, other.k_max)
    shares = [
        len({item for item, _ in mine.items} & {item for item, _ in theirs.items}) / max(1, len(mine.items))
        for mine, theirs in zip(one.rank_items(sessions, k), other.rank_items(sessions, k), strict=True)
        if not (mine.fallback or theirs.fallback)
    ]
    return float(np.mean(shares)) if shares else 0.0


def _sums(judgements: Sequence[Judgement], log: SessionLog, metric: str) -> NDArray[np.float64]:
    return np.column_stack([session_sums(one.ranks, log, (CUTOFF,))[metric] for one in judgements])
