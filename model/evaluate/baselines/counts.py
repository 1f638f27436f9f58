"""What counting baselines share: the popularity list, and each session's distinct items.

Legend: B sessions, K places of a list, V catalogue items.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from model.data.log import SessionLog

__all__ = ["LONGEST", "Popularity", "Ranked", "distinct_items", "long_sessions"]

LONGEST = 200  # different items of a train session that are counted together: the pairs of more grow with their square

Ranked = tuple[NDArray[np.int32], NDArray[np.float32]]  # ids (B, K), scores (B, K)


class Popularity:
    """The same list for everybody: items by their train clicks, then by id. It fills and settles the other lists."""

    def __init__(self, train: SessionLog) -> None:
        clicks = train.popularity()  # (V,)
        self.order = np.lexsort((np.arange(len(clicks)), -clicks)).astype(np.int32) + PAD + 1  # (V,) ids, best first
        self.share = (np.sort(clicks)[::-1] / max(1, train.clicks)).astype(np.float32)  # (V,) of all clicks

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> Ranked:
        """Return the k most clicked items for each session, scored by their share of the clicks."""
        ids, scores = np.full(k, PAD, np.int32), np.zeros(k, np.float32)
        found = min(k, len(self.order))
        ids[:found], scores[:found] = self.order[:found], self.share[:found]
        return np.tile(ids, (len(sessions), 1)), np.tile(scores, (len(sessions), 1))

    def places(self) -> NDArray[np.int64]:
        """Return the place of each id in this list, best 0: (V + 1,), nothing said about id 0. The rule for ties."""
        places = np.zeros(len(self.order) + 1, np.int64)
        places[self.order] = np.arange(len(self.order))
        return places

    def fill(self, ids: NDArray[np.int32], counted: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return ids (B, K) with the places not counted taken by popular items that the list does not have yet."""
        short = np.flatnonzero(~counted.all(axis=1))
        if not len(short):
            return ids
        k = ids.shape[1]
        popular = np.zeros(2 * k, np.int32)  # at most k of them are in the list already
        popular[: min(2 * k, len(self.order))] = self.order[: 2 * k]
        fresh = ~(popular[None, :, None] == ids[short][:, None, :]).any(axis=2)  # (B, 2K)
        pool = np.concatenate((ids[short], np.broadcast_to(popular, fresh.shape)), axis=1)  # (B, 3K)
        first = np.argsort(~np.concatenate((counted[short], fresh), axis=1), axis=1, kind="stable")[:, :k]
        ids[short] = np.take_along_axis(pool, first, axis=1)  # (B, K)
        return ids


def distinct_items(log: SessionLog, newest: int | None = None) -> SessionLog:
    """Return the log with every item of a session once, in ascending order; the times are not kept.

    Of a session with more than `newest` items only those count that were clicked last.
    """
    base = len(log.vocabulary) + 1
    keys, last = np.unique(
        (np.repeat(np.arange(log.sessions), log.lengths) * base + log.items)[::-1], return_index=True
    )
    if newest is not None:
        keys = keys[_newest_of_each(keys // base, log.clicks - 1 - last, newest)]
    offsets = np.searchsorted(keys, np.arange(log.sessions + 1) * base)
    items = (keys % base).astype(np.int32)
    return SessionLog(items=items, offsets=offsets, ts=np.zeros(len(items), np.int64), vocabulary=log.vocabulary)


def long_sessions(log: SessionLog) -> int:
    """Return how many sessions have more than LONGEST different items."""
    if not log.clicks or int(log.lengths.max()) <= LONGEST:
        return 0
    candidates = log.select(log.lengths > LONGEST)
    return int(np.count_nonzero(distinct_items(candidates).lengths > LONGEST))


def _newest_of_each(sessions: NDArray[np.int64], at: NDArray[np.int64], newest: int) -> NDArray[np.bool_]:
    """Return which of some clicks (N,), by session, are among the `newest` of their session by their place `at`."""
    kept = np.ones(len(sessions), bool)
    size = np.bincount(sessions)
    crowded = np.flatnonzero(size[sessions] > newest)
    order = crowded[np.lexsort((-at[crowded], sessions[crowded]))]
    begin = np.flatnonzero(np.diff(sessions[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
    kept[order[place >= newest]] = False
    return kept
