"""Evaluation of anything that ranks: the Ranker on an exported graph, or a baseline.

Protocol: every position after the first of each session is one prediction (clicks 1..t are given, click t + 1 is the
target), the whole catalogue is ranked, nothing is excluded. The reference code (otto-de/TRON) looks at a session's
newest 51 clicks only: `max_items=51` does the same.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.errors import ConfigError
from model.data.log import SessionLog
from model.evaluate.lists import ListFigures
from model.evaluate.metrics import Metrics

__all__ = ["EvaluationResult", "Scorer", "as_read", "evaluate", "prefixes", "ranked"]


class Scorer(Protocol):
    """Ranks sessions; the Ranker and the baselines are scorers."""

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return (ids (B, k) best first, scores (B, k)) for sessions of catalogue ids, newest last."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """Figures of one evaluation."""

    metrics: dict[str, float]  # `recall@20`, `mrr@20`, `ndcg@20`, `coverage@20`, likewise for other cut-offs
    predictions: int  # positions predicted
    sessions: int  # sessions they come from
    seconds: float  # wall time of ranking and counting
    ranks: NDArray[np.int32] = field(repr=False, compare=False)  # (P,) by click, from 1; 0: not found

    @property
    def sessions_per_s(self) -> float:
        """Evaluated sessions, all their positions, per second."""
        return self.sessions / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, float]:
        """Return the metrics, `predictions` and `sessions_per_s` as one flat object."""
        return {**self.metrics, "predictions": self.predictions, "sessions_per_s": round(self.sessions_per_s, 1)}


def evaluate(
    scorer: Scorer,
    log: SessionLog,
    *,
    cutoffs: Sequence[int] = (20,),
    batch: int = 128,
    window: int | None = None,
    max_items: int | None = None,
    popularity: NDArray[np.int64] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Return how well `scorer` finds the next click at every position of each session.

    The log must be in the scorer's vocabulary. `window` cuts what is given to the newest so many clicks, `max_items`
    looks at the newest so many of each session only, `on_progress(done, predictions)` is called after each batch. Rows
    of a batch have about the same length; larger batches are no faster, and take 0.4 MiB a row at 25,000 items.
    popularity (V,): clicks that the scorer learned from; with them it is measured what lists are like (`lists.py`).
    ConfigError for a log without a position to predict, or bad cut-offs.
    """
    if batch < 1 or (window is not None and window < 1) or (max_items is not None and max_items < 2):
        raise ConfigError(f"batch and window must be at least 1, max_items 2: not {batch}, {window}, {max_items}")
    log = log if max_items is None else log.tail(max_items)
    log = as_read(scorer, log)
    starts, targets = prefixes(log, window)
    if not len(targets):
        raise ConfigError("no session of the log has two clicks: there is nothing to predict")
    metrics = Metrics(len(log.vocabulary), cutoffs)
    k = min(metrics.cutoffs[-1], len(log.vocabulary))
    ranks = np.zeros(len(targets), np.int32)
    lists = None if popularity is None else ListFigures(popularity, log, metrics.cutoffs, len(targets))
    began = time.perf_counter()
    for first in range(0, len(targets), batch):
        spans = zip(starts[first : first + batch].tolist(), targets[first : first + batch].tolist(), strict=True)
        ids, _ = ranked(scorer, log, list(spans), k)
        ranks[first : first + batch] = metrics.add(np.asarray(ids), log.items[targets[first : first + batch]])
        if lists is not None:
            lists.add(np.asarray(ids))
        if on_progress:
            on_progress(metrics.predictions, len(targets))
    seconds = time.perf_counter() - began
    sessions = int(np.count_nonzero(log.wanted().lengths > 1))
    return EvaluationResult(
        metrics={**metrics.result(), **({} if lists is None else lists.result())},
        predictions=metrics.predictions,
        sessions=sessions,
        seconds=seconds,
        ranks=ranks[np.argsort(targets)],
    )


def as_read(scorer: object, log: SessionLog) -> SessionLog:
    """Return the log as a scorer reads it: without skips and dislikes, unless it says that it is `typed`."""
    return log if getattr(scorer, "typed", False) else log.wanted()


def ranked(
    scorer: Scorer, log: SessionLog, spans: Sequence[tuple[int, int]], k: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what a scorer ranks for rows start..end - 1 of a log; it is told the kinds of events if it is `typed`."""
    sessions = [log.items[start:end] for start, end in spans]
    if log.kinds is None or not getattr(scorer, "typed", False):
        return scorer.rank(sessions, k)
    kinds = [log.kinds[start:end].astype(np.int32) for start, end in spans]
    found: tuple[NDArray[Any], NDArray[Any]] = scorer.rank(sessions, k, kinds=kinds)  # type: ignore[call-arg]
    return found


def prefixes(log: SessionLog, window: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (starts, targets), each (P,): items[start:target] is given, items[target] looked for; shortest first."""
    targets = log.predicted
    starts = np.repeat(log.offsets[:-1], log.lengths)[targets]
    if window is not None:
        starts = np.maximum(starts, targets - window)
    order = np.argsort(targets - starts, kind="stable")
    return starts[order], targets[order]
