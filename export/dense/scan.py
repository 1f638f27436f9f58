"""Exact lists from the vectors of items: the best K of N products, exclusions honoured.

    scan = DenseScan([table])
    ids, scores = scan.best(vectors, 20, excluded)

The order is that of the scores in fp32, added up as `export/dense/products.py` (`exact`) says, and of equal ones the
lower catalogue id comes first: whatever the processor, the batch, and the bytes that choose which items are multiplied.

B sessions, V items, H hidden, P parts of a vector, W_p their widths, K asked for, C candidates.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.files import leave_in_file
from export.bundle.vocabulary import PAD
from export.cores import usable_cores
from export.dense import kernel
from export.dense.rounding import round_items
from export.ranking.ragged import Ragged
from export.scan.places import places_of
from export.scan.plain import best_first

__all__ = ["NOWHERE", "ROOM", "SESSIONS", "Beside", "DenseScan", "ids_of", "room_of", "share"]

ROOM = 512  # candidates of a session, of which some hundred are usual; a deep ranking has eight times its places
_DEEP = 16  # a list of more than one in so many items is made by sorting them all
_AT_ONCE = 8_192  # items rounded at once
_BLOCKS = 4_096  # that are worth a thread of their own, for one session: 262,144 items, a millisecond or more
SESSIONS = 16  # that are
NOWHERE = np.int32(2**31 - 1)
_LARGEST = float(np.finfo(np.float32).max) / 4  # of a score, as sums are rounded


class Beside(NamedTuple):
    """What a scan is told and gives beside lists: each as `kernel.scan` describes it, without columns for nothing."""

    hidden: NDArray[np.int32]  # (B, D)
    known: NDArray[np.int64]  # (B,)
    reach: NDArray[np.float32]  # (B, D); written
    masses: NDArray[np.float32]  # (B, ceil(V / 64)), or (B, 0); written

    @classmethod
    def nothing(cls, sessions: int) -> "Beside":
        none = np.zeros((sessions, 0), np.float32)
        return cls(np.zeros((sessions, 0), np.int32), np.zeros(sessions, np.int64), none, none)

    def rows(self, some: slice) -> "Beside":
        """Return the same of some sessions."""
        return Beside(self.hidden[some], self.known[some], self.reach[some], self.masses[some])


class DenseScan:
    """Lists of one table of vectors. Its methods may be called from any thread, also at the same time."""

    def __init__(self, tables: Sequence[NDArray[np.float32]], *, threads: int = 1, way: str | None = None) -> None:
        """Round the items, a byte a number, which are kept beside the tables.

        tables: (V + 1, W_p) each, row 0 padding; side by side they are the items' vectors. They stay where they are, in
        a file for instance. threads: 0, those the process may use. way: of `kernel.ways()`; None: the fastest.
        ValueError for a way that this processor has not, and for tables that are not finite.
        """
        ways = kernel.ways()
        if not ways or (way is not None and way not in ways):
            raise ValueError(f"this processor has {', '.join(ways) or 'no AVX2'}, not {way or 'what is needed'}")
        self._tables = list(tables)  # kept, as their addresses are
        self.items, self.hidden, self.way = len(tables[0]) - 1, sum(table.shape[1] for table in tables), way or ways[0]
        self._parts = np.array([table.ctypes.data for table in tables], dtype=np.int64)
        self._widths = np.array([table.shape[1] for table in tables], dtype=np.int64)
        count = -(-self.items // kernel.BLOCK)
        self.blocks = count
        self._blocks = np.zeros((count, -(-self.hidden // 4), kernel.BLOCK, 4), dtype=np.uint8)
        self._factors = np.zeros((count, 3, kernel.BLOCK), dtype=np.float32)
        self._longest = self._round()
        self.given = self.items, self._parts, self._widths  # to compiled code
        self.how = kernel.WAYS[self.way], kernel.LEVELS[self.way]
        self.rounded = self._blocks, self._factors
        self.threads = threads or usable_cores()
        self._pool = ThreadPoolExecutor(self.threads - 1, "dense") if self.threads > 1 else None

    def best(
        self, vectors: NDArray[np.float32], k: int, excluded: Ragged | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return catalogue ids int32 (B, K), best first, and their scores float32 (B, K).

        vectors (B, H); excluded: B rows of catalogue ids that a list must not hold, 0 is none. Where fewer than K items
        are left, the list ends in id 0 with score -inf. ValueError for vectors of another width, and for such as give
        scores that are not finite.
        """
        barred = Ragged.empty(len(vectors)) if excluded is None else places_of(excluded)
        places, scores = self.places(vectors, k, barred, Beside.nothing(len(vectors)))
        return ids_of(places), scores

    def places(
        self, vectors: NDArray[np.float32], k: int, barred: Ragged, beside: Beside
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return what `best` does, by places, which count from 0, NOWHERE where no item is left.

        barred: ascending places that a list must not hold; beside: more of them, and what is wanted beside lists.
        """
        vectors = self.checked(vectors)
        size, width = len(vectors), min(k, self.items)
        scores, places = np.full((size, k), -np.inf, dtype=np.float32), np.full((size, k), NOWHERE)
        if self.sorts(k):
            if beside.masses.size or beside.hidden.size:
                self._scanned(vectors, 1, barred, beside)
            self._sort(vectors, barred, beside, scores[:, :width], places[:, :width])
        else:
            scores[:, :width], places[:, :width] = self._scanned(vectors, width, barred, beside)
        return places, scores

    def scores(self, vectors: NDArray[np.float32], ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the scores float32 (B, C) of items (C,) by their catalogue ids, as lists have them; -inf where that is
        0. ValueError for an id outside 0..V, or vectors as above."""
        vectors = self.checked(vectors)
        if len(ids) and not PAD <= int(ids.min()) <= int(ids.max()) <= self.items:
            raise ValueError(f"there are scores of the catalogue ids 1..{self.items}, and of no others")
        known = ids != PAD
        found = np.full((len(vectors), len(ids)), -np.inf, dtype=np.float32)
        found[:, known] = self._multiplied(vectors, np.ascontiguousarray(ids[known] - (PAD + 1), dtype=np.int32))
        return found

    def _round(self) -> float:
        """Write bytes and factors of all items; what none is longer than."""
        for first in range(0, self.items, _AT_ONCE):
            rows = np.concatenate([table[PAD + 1 + first :][:_AT_ONCE] for table in self._tables], axis=1)
            round_items(np.ascontiguousarray(rows, dtype=np.float32), first, self._blocks, self._factors)
        for table in self._tables:
            leave_in_file(table)
        longest = float((self._factors[:, 1] + self._factors[:, 2]).max())  # |x| <= |s X| + |r|
        if not np.isfinite(longest):
            raise ValueError("the item table holds numbers that are not finite, or as large as fp32 has them")
        return longest

    def checked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compiled code reads what it is told to read, so that is looked at before."""
        if vectors.dtype != np.float32 or vectors.shape[1:] != (self.hidden,):
            raise ValueError(f"vectors must be float32 (B, {self.hidden}), not {vectors.dtype} {vectors.shape}")
        most = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1)) * self._longest  # of a score, (B,)
        if not np.isfinite(most).all():
            raise ValueError("scores are not finite: the model gives vectors that are no numbers")
        if (most > _LARGEST).any():
            raise ValueError(f"scores up to {most.max():.1e} are no numbers in fp32: the model's vectors are too long")
        return np.ascontiguousarray(vectors)

    def _scanned(
        self, vectors: NDArray[np.float32], k: int, barred: Ragged, beside: Beside
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return scores and places (B, K), by as many threads as the work is worth: some sessions each, or items."""
        size, count = len(vectors), self.blocks
        by_session, by_items = self.shared(size)
        parts = by_session * by_items
        starts = np.concatenate([[0], np.cumsum(barred.lengths)]).astype(np.int64)
        shape = (by_items, size, k)
        scores, places = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, NOWHERE)

        def scan(part: int) -> None:
            rows, found = share(size, part // by_items, by_session), part % by_items
            here = share(count, found, by_items)
            kernel.scan(
                self._blocks, self._factors, here.start, here.stop, *self.given, vectors[rows], *self.how,
                barred.values, starts[rows.start : rows.stop + 1], *beside.rows(rows), room_of(k), scores[found, rows],
                places[found, rows],
            )  # fmt: skip

        self.each(scan, parts)
        if len(scores) == 1:
            return scores[0], places[0]
        every, where = (np.concatenate(list(some), axis=1) for some in (scores, places))  # (B, parts x K)
        order = np.lexsort((where, -every), axis=1)[:, :k]
        return np.take_along_axis(every, order, 1), np.take_along_axis(where, order, 1)

    def sorts(self, k: int) -> bool:
        """Whether lists of K are so deep that all items are sorted for them."""
        return min(k, self.items) > max(ROOM, self.items // _DEEP)

    def shared(self, sessions: int) -> tuple[int, int]:
        """Return among how many threads the sessions of a call are shared, or else the items."""
        some = min(self.threads, sessions // SESSIONS)
        return (some, 1) if some else (1, max(1, min(self.threads, self.blocks // _BLOCKS)))

    def each(self, work: Callable[[int], None], parts: int) -> None:
        """Have the scan's threads do the parts of some work."""
        others = [self._pool.submit(work, part) for part in range(1, parts)] if self._pool is not None else []
        work(0)
        for other in others:
            other.result()

    def _sort(
        self,
        vectors: NDArray[np.float32],
        barred: Ragged,
        beside: Beside,
        scores: NDArray[np.float32],
        places: NDArray[np.int32],
    ) -> None:
        """Write deep rankings, a session at a time."""
        everything = np.arange(self.items, dtype=np.int32)
        for row in range(len(vectors)):
            every = self._multiplied(vectors[row : row + 1], everything)[0]
            every[barred.rows(np.array([row])).values] = -np.inf
            every[beside.hidden[row, : beside.known[row]] - (PAD + 1)] = -np.inf
            order = best_first(every, scores.shape[1])
            scores[row] = every[order]
            places[row] = np.where(scores[row] == -np.inf, NOWHERE, order)

    def _multiplied(self, vectors: NDArray[np.float32], places: NDArray[np.int32]) -> NDArray[np.float32]:
        found = np.empty((len(vectors), len(places)), dtype=np.float32)
        kernel.multiply(self._parts, self._widths, vectors, places, found)
        return found


def ids_of(places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return catalogue ids of places; PAD for NOWHERE."""
    ids: NDArray[np.int32] = places + np.int32(PAD + 1)
    ids[places == NOWHERE] = PAD
    return ids


def room_of(k: int) -> int:
    """Return how many candidates a session may have for a list of K."""
    return max(ROOM, 8 * k)


def share(count: int, part: int, parts: int) -> slice:
    """Return what one of so many threads takes."""
    return slice(count * part // parts, count * (part + 1) // parts)
