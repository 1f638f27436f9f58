"""What lists are like, whether or not they are clicked: novelty, share of the popular, diversity.

- novelty@k = mean over the places of all lists of -log2 p(i), in bits, p(i) = (n(i) + 1) / (N + V) by the clicks n(i)
  that the system learned from, N in all. Source: Zhou et al., "Solving the apparent diversity-accuracy dilemma of
  recommender systems", PNAS 2010 (self-information), smoothed by one click an item.
- popularity_share@k = share of the places that head items take: the most clicked ones that have half of the clicks.
- diversity@k = mean over lists of the mean over their pairs of 1 - cos(i, j), items as the sets of the evaluated
  sessions that click them. Source: Ziegler et al., "Improving recommendation lists through topic diversification",
  WWW 2005 (intra-list similarity). Of LISTS lists, evenly over the predictions, and SESSIONS sessions.

Coverage stands in `metrics.py`. Nothing is kept of a list but sums: memory does not grow with the predictions.
Legend: B predictions at a time, K places of a list, V catalogue items, S sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from model.data.gather import gather_ranges
from model.data.log import SessionLog
from model.evaluate.baselines.counts import distinct_items

__all__ = ["HEAD", "MID", "ListFigures", "bands_by_clicks"]

HEAD, MID = 0.5, 0.8  # of the clicks, counted from the most clicked item: head items have the first half, tail the last
LISTS = 2_000  # whose diversity is measured
SESSIONS = 20_000  # by which items are alike

Floats = NDArray[np.float64]


class ListFigures:
    """Accumulates lists."""

    def __init__(
        self, popularity: NDArray[np.int64], log: SessionLog, cutoffs: Sequence[int], predictions: int
    ) -> None:
        """popularity (V,): clicks that the system learned from; log: evaluated, in the system's catalogue ids."""
        self.cutoffs = tuple(sorted(cutoffs))
        clicks = np.concatenate(([0], popularity)).astype(np.float64)  # (V + 1,) by catalogue id
        self._bits = -np.log2((clicks + 1) / (clicks.sum() + len(popularity)))
        self._head = np.concatenate(([False], bands_by_clicks(popularity) == 0))
        self._alike = _Alike(log)
        self._every = max(1, predictions // LISTS)
        self._seen = self._lists = 0
        self._sums = {k: np.zeros(3) for k in self.cutoffs}  # bits, head items, places
        self._distances = dict.fromkeys(self.cutoffs, 0.0)

    def add(self, ids: NDArray[Any]) -> None:
        """Count lists (B, K) of catalogue ids, best first, 0 where one ended early."""
        ids = np.asarray(ids, np.int64)
        for k, sums in self._sums.items():
            part = ids[:, :k]
            there = part != PAD
            sums += (self._bits[part][there].sum(), self._head[part][there].sum(), there.sum())
        first = -self._seen % self._every
        for row in ids[first :: self._every]:
            self._lists += 1
            for k in self.cutoffs:
                self._distances[k] += self._alike.distance(row[:k])
        self._seen += len(ids)

    def result(self) -> dict[str, float]:
        """Return `novelty@k`, `popularity_share@k` and `diversity@k` for each cut-off; 0 if nothing was added."""
        found: dict[str, float] = {}
        for k, (bits, head, places) in self._sums.items():
            found[f"novelty@{k}"] = float(bits / max(1, places))
            found[f"popularity_share@{k}"] = float(head / max(1, places))
            found[f"diversity@{k}"] = float(self._distances[k] / max(1, self._lists))
        return found


class _Alike:
    """How much the same sessions click two items."""

    def __init__(self, log: SessionLog) -> None:
        distinct = distinct_items(log.wanted().thinned(SESSIONS))
        order = np.argsort(distinct.items, kind="stable")
        self.sessions = distinct.sessions
        self._sessions = np.repeat(np.arange(distinct.sessions), distinct.lengths)[order]  # by item
        self._offsets = np.searchsorted(distinct.items[order], np.arange(len(log.vocabulary) + 2))  # by catalogue id

    def distance(self, items: NDArray[np.int64]) -> float:
        """Return the mean of 1 - cos over the pairs of a list; 0 for fewer than two items.

        With u(i) an item's sessions as a vector of length 1, the cosines of all pairs add up to |sum of u|^2 less the
        squares of each; an item that no session clicks is like no other.
        """
        items = items[items != PAD]
        pairs = len(items) * (len(items) - 1)
        if not pairs:
            return 0.0
        start = self._offsets[items]
        counts = self._offsets[items + 1] - start
        rows = self._sessions[gather_ranges(start, counts)]
        weights = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
        total = np.bincount(rows, weights, minlength=1)
        alike = float(total @ total) - np.count_nonzero(counts)
        return 1.0 - alike / pairs


def bands_by_clicks(popularity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1 or 2 for head, mid and tail items (V,): by whether the items that are more clicked have less than
    HEAD, less than MID, or more of all clicks. Items without a click are tail."""
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    share = before / max(1, popularity.sum())
    bands = np.empty(len(popularity), np.int64)
    bands[order] = np.where(share < HEAD, 0, np.where(share < MID, 1, 2))
    bands[popularity == 0] = 2
    return bands
