"""Baselines that count: popularity, and what was clicked with or after the last item. All counts come from train.

Ties go to the item with more train clicks, then to the smaller catalogue id (the order of the shop's ids). A list with
too few counted items is filled from the popularity list. Nothing is excluded, as in the evaluation protocol.

Legend: B sessions, K places of a list, V catalogue items, E counted pairs (last item, candidate).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.errors import ConfigError
from export.vocabulary import PAD
from model.log import SessionLog

__all__ = ["BASELINES", "Baseline", "LastItem", "Popularity", "make_baseline"]

REACH = 10  # clicks after the last item that `items-after` counts
UNIT = 2520  # weight of a click right after: divisible by 1..REACH, so that sums of 1 / distance stay exact integers
CHUNK_PAIRS = 4_000_000  # pairs held before they are summed up; 64 MB

Ranked = tuple[NDArray[np.int32], NDArray[np.float32]]  # ids (B, K), scores (B, K)
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]  # keys (E,) = last * (V + 1) + candidate, ascending; weights (E,)


class Baseline(Protocol):
    """What `make_baseline` returns: a scorer of `model.evaluate`."""

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> Ranked:
        """Return the best k items for sessions of catalogue ids, newest last; id 0 where the catalogue has fewer."""
        ...


class Popularity:
    """The same list for everybody: items by their train clicks."""

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


class LastItem:
    """Items by a weight counted beside the session's last item."""

    def __init__(self, train: SessionLog, pairs: Pairs) -> None:
        """Take the weights of (last item, candidate) pairs; they are kept in the order of each last item's list."""
        V = len(train.vocabulary)
        self.popularity = Popularity(train)
        place = np.empty(V + 1, np.int64)  # of each id in the popularity list: the rule for ties
        place[self.popularity.order] = np.arange(V)
        keys, weights = pairs
        last, candidate = keys // (V + 1), keys % (V + 1)
        order = np.lexsort((place[candidate], -weights, last))
        self.candidates = candidate[order].astype(np.int32)  # (E,)
        self.weights = weights[order].astype(np.float32)  # (E,)
        self.offsets = np.searchsorted(last, np.arange(V + 2))  # (V + 2,) id i: candidates[offsets[i]:offsets[i + 1]]

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> Ranked:
        """Return the k items of most weight beside each session's last item; those filled in score 0."""
        last = np.array([session[-1] for session in sessions], np.int64)
        rows, inverse = np.unique(last, return_inverse=True)
        ids, scores = self.lists(rows, k)
        return ids[inverse], scores[inverse]

    def lists(self, rows: NDArray[np.int64], k: int) -> Ranked:
        """Return the lists of some last items (B,)."""
        at = self.offsets[rows][:, None] + np.arange(k)  # (B, K)
        counted = at < self.offsets[rows + 1][:, None]
        at = np.where(counted, at, 0)
        if not len(self.candidates):
            return self.popularity.rank([np.zeros(0, np.int32)] * len(rows), k)
        ids = np.where(counted, self.candidates[at], PAD)  # (B, K)
        scores = np.where(counted, self.weights[at], 0).astype(np.float32)  # (B, K)
        return self.fill(ids.astype(np.int32), counted), scores

    def fill(self, ids: NDArray[np.int32], counted: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return ids (B, K) with the places not counted taken by popular items that the list does not have yet."""
        short = np.flatnonzero(~counted.all(axis=1))
        if not len(short):
            return ids
        k = ids.shape[1]
        popular = np.zeros(2 * k, np.int32)  # at most k of them are in the list already
        popular[: min(2 * k, len(self.popularity.order))] = self.popularity.order[: 2 * k]
        fresh = ~(popular[None, :, None] == ids[short][:, None, :]).any(axis=2)  # (B, 2K)
        pool = np.concatenate((ids[short], np.broadcast_to(popular, fresh.shape)), axis=1)  # (B, 3K)
        first = np.argsort(~np.concatenate((counted[short], fresh), axis=1), axis=1, kind="stable")[:, :k]
        ids[short] = np.take_along_axis(pool, first, axis=1)  # (B, K)
        return ids


def follower_chunks(log: SessionLog, reach: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
    """Yield (items, items `distance` clicks later in the same session, distance) for distances 1..reach."""
    left = np.repeat(log.offsets[1:], log.lengths) - np.arange(log.clicks)  # (T,) clicks from here to the session's end
    for distance in range(1, reach + 1):
        at = np.flatnonzero(left > distance)
        if not len(at):
            return
        yield log.items[at].astype(np.int64), log.items[at + distance].astype(np.int64), distance


def sum_pairs(chunks: Iterator[Pairs]) -> Pairs:
    """Return the distinct keys of all chunks, ascending, with the sums of their weights."""
    keys, weights = np.zeros(0, np.int64), np.zeros(0, np.int64)
    waiting: list[Pairs] = []
    for chunk in chunks:
        waiting.append(chunk)
        if sum(len(part[0]) for part in waiting) >= CHUNK_PAIRS:
            keys, weights = merged([(keys, weights), *waiting])
            waiting = []
    return merged([(keys, weights), *waiting])


def merged(parts: Sequence[Pairs]) -> Pairs:
    """Return several lists of pairs as one, summed by key."""
    keys = np.concatenate([part[0] for part in parts])
    weights = np.concatenate([part[1] for part in parts])
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.add.reduceat(weights, first) if len(first) else weights


def next_items(train: SessionLog, reach: int = 1) -> Pairs:
    """Return how often an item follows another up to `reach` clicks later, each worth UNIT / distance."""
    base = len(train.vocabulary) + 1
    return sum_pairs(
        (now * base + later, np.full(len(now), UNIT // distance))
        for now, later, distance in follower_chunks(train, reach)
    )


def co_occurrences(train: SessionLog) -> Pairs:
    """Return in how many sessions two different items stand together, for both directions."""
    base = len(train.vocabulary) + 1
    distinct = distinct_items(train)
    longest = int(distinct.lengths.max(initial=0))
    keys, weights = sum_pairs(
        (one * base + other, np.ones(len(one), np.int64)) for one, other, _ in follower_chunks(distinct, longest - 1)
    )
    mirrored = keys % base * base + keys // base
    return merged([(keys, weights), (mirrored, weights)])


def distinct_items(log: SessionLog) -> SessionLog:
    """Return the log with every item of a session once, in ascending order."""
    base = len(log.vocabulary) + 1
    keys = np.unique(np.repeat(np.arange(log.sessions), log.lengths) * base + log.items)
    offsets = np.searchsorted(keys, np.arange(log.sessions + 1) * base)
    items = (keys % base).astype(np.int32)
    return SessionLog(items=items, offsets=offsets, ts=np.zeros(len(items), np.int64), vocabulary=log.vocabulary)


BASELINES: dict[str, Callable[[SessionLog], Any]] = {
    "popularity": Popularity,
    "co-occurrence": lambda train: LastItem(train, co_occurrences(train)),
    "next-item": lambda train: LastItem(train, next_items(train)),
    "items-after": lambda train: LastItem(train, next_items(train, REACH)),
}


def make_baseline(name: str, train: SessionLog) -> Baseline:
    """Return the baseline called `name`, counted on `train`; ConfigError for a name that is not in `BASELINES`.

    `co-occurrence` counts the sessions that hold both the last item and the candidate (never the item itself),
    `next-item` how often the candidate was clicked directly after the last item, `items-after` up to 10 clicks after,
    each worth 1 / distance.
    """
    if name not in BASELINES:
        raise ConfigError(f"no baseline is called {name!r}; there are {', '.join(BASELINES)}")
    baseline: Baseline = BASELINES[name](train)
    return baseline
