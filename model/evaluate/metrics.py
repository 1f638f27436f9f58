"""Ranking metrics with one relevant item a prediction, means over predictions.

With r the rank of the target from 1, and nothing gained where r > k:
- recall@k = share of predictions with r <= k, also called hit rate (one relevant item, so recall = hit).
- mrr@k = mean of 1 / r. Source: Voorhees, "The TREC-8 Question Answering Track Report", 1999.
- ndcg@k = mean of 1 / log2(r + 1); the ideal list has the target first, so its gain is 1. Source: Järvelin and
  Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.
- coverage@k = share of the catalogue that stands in at least one list's first k. Source: Ge, Delgado-Battenfeld &
  Jannach, "Beyond accuracy", RecSys 2010 (catalogue coverage).

Legend: B predictions at a time, K places of a list, V catalogue items.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.errors import ConfigError

__all__ = ["CUTOFF", "MAIN", "SECOND", "Metrics", "gains", "label"]

CUTOFF = 20  # k where nothing else is asked for
MAIN = f"recall@{CUTOFF}"  # by which a model must be better than others
SECOND = f"mrr@{CUTOFF}"  # where they are equal by that


def label(name: str) -> str:
    """Return a metric's name as people write it: Recall@20, MRR@20."""
    measure, _, k = name.partition("@")
    return f"{measure.capitalize() if measure in ('recall', 'coverage') else measure.upper()}@{k}"


def gains(k: int, places: int) -> dict[str, NDArray[np.float64]]:
    """Return what a prediction adds to `recall`, `mrr` and `ndcg` at k by its rank, 0 for none: (places + 1,)."""
    rank = np.arange(places + 1)
    hit = (rank >= 1) & (rank <= k)
    rank = np.maximum(1, rank)
    return {"recall": hit.astype(np.float64), "mrr": hit / rank, "ndcg": hit / np.log2(rank + 1)}


class Metrics:
    """Accumulates ranked lists beside their targets."""

    def __init__(self, items: int, cutoffs: Sequence[int] = (20,)) -> None:
        """Take V and the cut-offs k; ConfigError unless those are distinct and at least 1."""
        if not cutoffs or min(cutoffs) < 1 or len(set(cutoffs)) != len(cutoffs):
            raise ConfigError(f"cut-offs must be distinct numbers from 1, not {list(cutoffs)}")
        self.cutoffs = tuple(sorted(cutoffs))
        self.items = items
        self.predictions = 0
        self._hits = np.zeros(self.cutoffs[-1] + 1, np.int64)  # predictions by rank; place 0: not in the list
        self._shown = {k: np.zeros(items + 1, bool) for k in self.cutoffs}  # by catalogue id

    def add(self, ids: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.int64]:
        """Count ids (B, K), best first, 0 where a list ended early, against targets (B,), both catalogue ids.

        Returns the rank of each target from 1 (B,), 0 where it is not in the list.
        """
        ids = ids[:, : self.cutoffs[-1]]
        hits = ids == targets[:, None]  # (B, K)
        rank = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)  # (B,)
        self._hits += np.bincount(rank, minlength=len(self._hits))
        self.predictions += len(targets)
        for k, shown in self._shown.items():
            shown[ids[:, :k].ravel()] = True
        return rank

    def result(self) -> dict[str, float]:
        """Return `recall@k`, `mrr@k`, `ndcg@k` and `coverage@k` for each cut-off; all 0 if nothing was added."""
        share = self._hits / max(1, self.predictions)  # of the predictions, by rank
        result: dict[str, float] = {}
        for k in self.cutoffs:
            for name, gain in gains(k, len(share) - 1).items():
                result[f"{name}@{k}"] = float((share * gain).sum())
            result[f"coverage@{k}"] = float(np.count_nonzero(self._shown[k][PAD + 1 :]) / max(1, self.items))
        return result
