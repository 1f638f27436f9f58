"""`vmis-knn`: items of the recent train sessions that resemble the session (session k-nearest neighbours).

Sources: Kersbergen, Sprangers & Schelter, "Serenade - Low-Latency Session-Based Recommendation in e-Commerce at
Scale", SIGMOD 2022 (VMIS-kNN); Ludewig & Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018
(VS-kNN). With s the newest `last_items` clicks of a session, p(i) = 0 for the newest click, 1 for the one before, ...
(an item clicked twice counts where it is newest), H the train sessions and h(i) those that hold item i:

1. candidates: the m most recent sessions of H that share an item with s, by their last click
2. similarity r(n) = sum over the items i of s that n holds of ((|s| - p(i)) / |s|)^2
3. neighbours: the k most similar candidates, the more recent one where two are equal
4. match weight w(n) = 1 / (p + 1)^2 with p the place of the newest item of s that n holds
5. score(i) = log(|H| / h(i)) * sum over the neighbours n that hold i of r(n) * w(n)

Steps 2 and 4 have VS-kNN's quadratic weights (rn5l/session-rec, algorithms/knn/vsknn.py). Serenade's are linear,
(|s| - p(i)) / |s| and 1 - (p + 1) / 10, at least 0: `weights="linear"`. Departures from Serenade: the last item stays
in the list, as `protocol.py` excludes nothing; the logarithm counts sessions where its code counts
clicks; an item that every train session holds scores 0; a train session holds its newest 200 items at most.

Legend: B sessions, K places of a list, V catalogue items, S train sessions, D distinct (train session, item) pairs,
N pairs (session, train session), a row is the place of a session in its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from model.data.gather import gather_ranges
from model.data.log import SessionLog
from model.evaluate.baselines.counts import LONGEST, Popularity, Ranked, distinct_items

__all__ = ["Clicks", "Neighbours", "VmisConfig", "VmisKnn", "newest_clicks"]

PAIRS = 2_000_000  # train sessions looked up at a time; 16 MB in each of a few arrays
SPAN = 10  # places back at which a linear match weight has gone down to 0
UNIT = 2520**2  # a quadratic match weight of 1: divisible by the squares of 1..10, so that sums stay whole numbers

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VmisConfig:
    """The three sizes are those that the README of bolcom/serenade ends with; src/config.rs has 500, 500 and 2.

    Chosen among published values on the validation day of Yoochoose's recent split, Recall@20 / MRR@20:
    these .7331 / .3812; 500, 500 and 2 .7295 / .3811, with linear weights .7295 / .3760, and without idf .7234 / .3779;
    500, 500 and 4 with linear weights .7244 / .3668.
    """

    recent: int = 1502  # m: most recent train sessions looked at
    neighbours: int = 288  # k: most similar ones of those that are summed up
    last_items: int = 4  # newest clicks of the session that count
    weights: Literal["linear", "quadratic"] = "quadratic"  # how an older click counts less, in steps 2 and 4
    idf: bool = True  # items that few train sessions hold count more

    def __post_init__(self) -> None:
        """ConfigError for a value that can't be."""
        for name in ("recent", "neighbours", "last_items"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.weights not in ("linear", "quadratic"):
            raise ConfigError(f"weights are linear or quadratic, not {self.weights!r}")


class Clicks(NamedTuple):
    """The clicks of a batch that count: each item once a session, where it is newest."""

    row: Ints  # (C,)
    item: Ints  # (C,) catalogue ids
    back: Ints  # (C,) clicks after it in its session
    length: Ints  # (B,) |s|


class Neighbours(NamedTuple):
    """Train sessions beside sessions of a batch, by row, in a row by recency."""

    row: Ints  # (N,)
    session: Ints  # (N,)
    similarity: Ints  # (N,) r times |s| or its square, a whole number: sums are exact, so ties are ties
    nearest: Ints  # (N,) `back` of the newest click they share

    def where(self, kept: NDArray[np.bool_]) -> "Neighbours":
        """Return those of a mask (N,)."""
        return Neighbours(*(column[kept] for column in self))


class VmisKnn:
    """Ranks by similar sessions; a session without a clicked item gets the popularity list."""

    def __init__(self, train: SessionLog, config: VmisConfig | None = None) -> None:
        """Index the distinct items of every train session: 16 bytes a pair (D,)."""
        self.config = config or VmisConfig()
        self.popularity = Popularity(train)
        self.sessions, self.items = train.sessions, len(train.vocabulary)
        distinct = distinct_items(train, LONGEST)
        self.offsets = distinct.offsets  # (S + 1,) session s holds places[offsets[s]:offsets[s + 1]]
        self.places = self.popularity.places()[distinct.items]  # (D,) items by their place in the popularity list
        order = np.argsort(distinct.items, kind="stable")
        self.holders = np.repeat(np.arange(self.sessions), distinct.lengths)[order]  # (D,) by item, newest last
        self.holder_offsets = np.searchsorted(distinct.items[order], np.arange(self.items + 2))  # (V + 2,) by id
        self.idf = self._idf()

    def rank(self, sessions: Sequence[NDArray[np.int32]], k: int, /) -> Ranked:
        """Return the k best items for each session; those filled in score 0."""
        ids, scores = np.full((len(sessions), k), PAD, np.int32), np.zeros((len(sessions), k), np.float32)
        most = max(1, PAIRS // (self.config.recent * self.config.last_items))
        for first in range(0, len(sessions), most):
            block = slice(first, first + most)
            ids[block], scores[block] = self._rank_block(sessions[block], k)
        return ids, scores

    def _rank_block(self, sessions: Sequence[NDArray[np.int32]], k: int) -> Ranked:
        ids, scores = np.full((len(sessions), k), PAD, np.int32), np.zeros((len(sessions), k), np.float32)
        clicks = newest_clicks(sessions, self.config.last_items)
        row, place, score = self._scores(self._neighbours(clicks), clicks.length)
        order = np.lexsort((-score, row))  # stable, and places ascend in a row: ties go to the more popular item
        row, place, score = row[order], place[order], score[order]
        column = _place_in_row(row)
        kept = column < k
        ids[row[kept], column[kept]] = self.popularity.order[place[kept]]
        scores[row[kept], column[kept]] = score[kept]
        return self.popularity.fill(ids, ids != PAD), scores

    def _neighbours(self, clicks: Clicks) -> Neighbours:
        """Return steps 1 to 3 for each session of a batch."""
        found = self._sharing(clicks)
        found = found.where(_place_in_row(found.row, from_end=True) < self.config.recent)
        if self.config.neighbours >= self.config.recent:
            return found
        order = np.lexsort((found.similarity, found.row))  # stable: of equal ones the more recent stays behind
        found = Neighbours(*(column[order] for column in found))
        return found.where(_place_in_row(found.row, from_end=True) < self.config.neighbours)

    def _sharing(self, clicks: Clicks) -> Neighbours:
        """Return the train sessions that share an item, among the m most recent ones of each item.

        No session beyond those can be among the m most recent of all, and each of these is in the list of every item
        it shares: sums over the cut lists are those over the whole ones.
        """
        end = self.holder_offsets[clicks.item + 1]
        start = np.maximum(self.holder_offsets[clicks.item], end - self.config.recent)
        found = self.holders[gather_ranges(start, end - start)]
        row, back = np.repeat(clicks.row, end - start), np.repeat(clicks.back, end - start)
        keys = np.sort((row * self.sessions + found) * self.config.last_items + back)  # one sort instead of three
        pair, back = np.divmod(keys, self.config.last_items)
        row, found = np.divmod(pair, max(1, self.sessions))
        weight = clicks.length[row] - back
        weight = weight if self.config.weights == "linear" else weight**2
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        return Neighbours(row[first], found[first], _sums(weight, first), back[first])

    def _scores(self, near: Neighbours, length: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Return (row, place, score) of the items that score, rows ascending, places ascending in a row: steps 4, 5."""
        match, one = self._match_weights(near.nearest, length)
        start = self.offsets[near.session]
        count = self.offsets[near.session + 1] - start
        cells = np.repeat(near.row * self.items, count) + self.places[gather_ranges(start, count)]
        order = np.argsort(cells)
        cells = cells[order]
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        row, place = np.divmod(cells[first], self.items)
        score = _sums(np.repeat(near.similarity * match, count)[order], first) * self.idf[place] / one[row]
        return row[score > 0], place[score > 0], score[score > 0]

    def _match_weights(self, nearest: Ints, length: Ints) -> tuple[Ints, Ints]:
        """Return w as whole numbers (N,), and what a similarity and a match weight of 1 multiply to by row (B,)."""
        if self.config.weights == "linear":
            return np.maximum(0, SPAN - 1 - nearest), length * SPAN
        return UNIT // (nearest + 1) ** 2, length**2 * UNIT

    def _idf(self) -> NDArray[np.float64]:
        """Return log(|H| / h) by place: (V,), 1 where it is off."""
        if not self.config.idf:
            return np.ones(self.items)
        holders = np.diff(self.holder_offsets)[self.popularity.order]  # (V,) h by place
        idf: NDArray[np.float64] = np.log(self.sessions / np.maximum(1, holders))
        return idf


def newest_clicks(sessions: Sequence[NDArray[np.int32]], last_items: int) -> Clicks:
    """Return the newest `last_items` clicks of each session, an item clicked twice where it is newest."""
    tails = [np.asarray(session[-last_items:], np.int64)[::-1] for session in sessions]  # newest first
    length = np.array([len(tail) for tail in tails], np.int64)
    item = np.concatenate([np.zeros(0, np.int64), *tails])
    row = np.repeat(np.arange(len(tails)), length)
    back = gather_ranges(np.zeros(len(tails), np.int64), length)
    _, first = np.unique(np.stack((row, item)), axis=1, return_index=True)
    return Clicks(row[first], item[first], back[first], length)


def _sums(values: Ints, first: Ints) -> Ints:
    """Return the sums of consecutive values, each from one of `first` to the next."""
    sums: Ints = np.add.reduceat(values, first) if len(first) else values[:0]
    return sums


def _place_in_row(row: Ints, *, from_end: bool = False) -> Ints:
    """Return the place of each entry among those of its row, from 0; rows (N,) ascend."""
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    sizes = np.diff(np.append(starts, len(row)))
    place = gather_ranges(np.zeros(len(starts), np.int64), sizes)
    return np.repeat(sizes, sizes) - 1 - place if from_end else place
