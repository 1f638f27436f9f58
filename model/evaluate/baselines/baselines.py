"""Baselines that count: by popularity, by what was clicked with or after the last item, by similar sessions.

All counts come from train. Ties go to the item with more train clicks, then to the smaller catalogue id (the order of
the shop's ids). A list with too few counted items is filled from the popularity list. Nothing is excluded, as in the
evaluation protocol.

Legend: B sessions, K places of a list, V catalogue items, E counted pairs (last item, candidate).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from model.data.log import SessionLog
from model.evaluate.baselines.counts import LONGEST, Popularity, Ranked, distinct_items, long_sessions
from model.evaluate.baselines.vmis_knn import VmisKnn

__all__ = [
    "BASELINES",
    "Baseline",
    "LastItem",
    "Popularity",
    "bounded",
    "co_occurrences",
    "follower_chunks",
    "make_baseline",
    "merged",
    "next_items",
    "sum_pairs",
]

REACH = 10  # clicks after the last item that `items-after` counts
UNIT = 2520  # weight of a click right after: divisible by 1..REACH, so that sums of 1 / distance stay exact integers
CHUNK_CLICKS = 1 << 20  # clicks looked at in one go
CHUNK_PAIRS = 4_000_000  # pairs held before they are summed up; 64 MB

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]  # keys (E,) = last * (V + 1) + candidate, ascending; weights (E,)


class Baseline(Protocol):
    """What `make_baseline` returns: a scorer of `model.evaluate.protocol`."""

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> Ranked:
        """Return the best k items for sessions of catalogue ids, newest last; id 0 where the catalogue has fewer."""
        ...


class LastItem:
    """Items by a weight counted beside the session's last item."""

    def __init__(self, train: SessionLog, pairs: Pairs) -> None:
        """Take the weights of (last item, candidate) pairs; they are kept in the order of each last item's list."""
        V = len(train.vocabulary)
        self.popularity = Popularity(train)
        place = self.popularity.places()
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
        return self.popularity.fill(ids.astype(np.int32), counted), scores


def follower_chunks(log: SessionLog, reach: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
    """Yield (items, items `distance` clicks later in the same session, distance), some sessions at a time."""
    first = 0
    while first < log.sessions:
        last = int(np.searchsorted(log.offsets, log.offsets[first] + CHUNK_CLICKS, side="right")) - 1
        last = max(last, first + 1)
        begin, end = log.offsets[first], log.offsets[last]
        left = np.repeat(log.offsets[first + 1 : last + 1], log.lengths[first:last]) - np.arange(begin, end)
        at = np.arange(begin, end)  # clicks; `left` of each to the end of its session
        for distance in range(1, reach + 1):
            at = at[left[at - begin] > distance]
            if not len(at):
                break
            yield log.items[at].astype(np.int64), log.items[at + distance].astype(np.int64), distance
        first = last


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
    """Return in how many sessions two different items stand together, for both directions.

    A session of more than LONGEST items counts with the newest of them: time and memory grow with the clicks.
    """
    base = len(train.vocabulary) + 1
    distinct = distinct_items(train, LONGEST)
    longest = int(distinct.lengths.max(initial=0))
    keys, weights = sum_pairs(
        (one * base + other, np.ones(len(one), np.int64)) for one, other, _ in follower_chunks(distinct, longest - 1)
    )
    mirrored = keys % base * base + keys // base
    return merged([(keys, weights), (mirrored, weights)])


BASELINES: dict[str, Callable[[SessionLog], Any]] = {
    "popularity": Popularity,
    "co-occurrence": lambda train: LastItem(train, co_occurrences(train)),
    "next-item": lambda train: LastItem(train, next_items(train)),
    "items-after": lambda train: LastItem(train, next_items(train, REACH)),
    "vmis-knn": VmisKnn,
}
BOUNDED = ("co-occurrence", "vmis-knn")  # of a train session, count at most LONGEST items


def bounded(name: str, train: SessionLog) -> str | None:
    """Return what to tell people where a baseline doesn't count all of a train session; None where it does."""
    if name not in BOUNDED or not (number := long_sessions(train)):
        return None
    return f"{name}: of sessions with more than {LONGEST} different items ({number:,}) the newest {LONGEST} count"


def make_baseline(name: str, train: SessionLog) -> Baseline:
    """Return the baseline called `name`, counted on `train`; ConfigError for a name that is not in `BASELINES`.

    `co-occurrence` counts the sessions that hold both the last item and the candidate (never the item itself),
    `next-item` how often the candidate was clicked directly after the last item, `items-after` up to 10 clicks after,
    each worth 1 / distance, `vmis-knn` what recent sessions like this one hold (`model.evaluate.baselines.vmis_knn`).
    """
    if name not in BASELINES:
        raise ConfigError(f"no baseline is called {name!r}; there are {', '.join(BASELINES)}")
    baseline: Baseline = BASELINES[name](train)
    return baseline
