"""Lists of a dense model with a layer behind its network, by the scan: what changes is scored one by one.

    scan = LayeredScan(DenseScan([table]), config, neighbours, weights)
    changed = scan.changed(rows)
    ids, scores = scan.best(vectors, 20, excluded, changed)

The lists are those of the formula in `export/graph/after.py`, but for its norm: the sum of exp over all items is of
scores as the scan rounds them. So a mixed score is off by what the norm is, at most; unmixed ones are exact.

B sessions, L positions, D room for changed items, V items, N neighbours, K asked for, C candidates, X fresh items.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.afterwards import LARGEST, AfterwardsConfig, reads
from export.bundle.vocabulary import PAD
from export.dense import changes, mixing
from export.dense.scan import NOWHERE, Beside, DenseScan, ids_of, room_of, share
from export.ranking.ragged import Ragged
from export.scan.places import places_of

__all__ = ["Changed", "LayeredScan"]


class Changed(NamedTuple):
    """The items of B sessions whose scores change; their norms are there once the lists are made."""

    ids: NDArray[np.int32]  # (B, D) of which the first `sizes` mean something
    counted: NDArray[np.float32]  # (B, D) c
    bias: NDArray[np.float32]  # (B, D) b
    sizes: NDArray[np.int64]  # (B,)
    beside: Beside
    norms: NDArray[np.float64]  # (B,)

    def rows(self, some: slice) -> "Changed":
        """Return the same of some sessions."""
        ids, counted, bias, sizes = self.ids[some], self.counted[some], self.bias[some], self.sizes[some]
        return Changed(ids, counted, bias, sizes, self.beside.rows(some), self.norms[some])


class LayeredScan:
    """The scan of one catalogue and the layer behind it. Its methods may be called from any thread, also at once."""

    def __init__(
        self,
        scan: DenseScan,
        config: AfterwardsConfig,
        neighbours: NDArray[np.int32] | None = None,
        weights: NDArray[np.float32] | None = None,
    ) -> None:
        """neighbours and weights (V + 1, N), best first, by catalogue id, padded with 0: wanted where counts have a
        part. They stay where they are. ValueError where they don't fit, or name an item that there is not."""
        none = np.zeros((1, 0), np.int32), np.zeros((1, 0), np.float32)
        if config.counts and (neighbours is None or weights is None):
            raise ValueError("a layer with counts needs their neighbours and weights")
        counts = none if neighbours is None or weights is None else (neighbours, weights)
        self._neighbours, self._weights = np.asarray(counts[0]), np.asarray(counts[1])  # compiled code minds memmaps
        if config.counts:
            _check(self._neighbours, self._weights, scan.items)
        self.scan, self.config = scan, config
        width = self._neighbours.shape[1]
        self._reads = np.array([min(most, width) for most in reads(config)] if config.counts else [], np.int64)
        self._shares = np.array([config.decay**back for back in range(len(self._reads))], np.float32)

    def changed(self, rows: NDArray[np.int32]) -> Changed:
        """Return what changes for sessions (B, L), right-padded with 0; ids above V are of fresh items."""
        size, room = len(rows), self._room(rows.shape[1])
        masses = np.empty((size, self.scan.blocks if self.config.counts else 0), np.float32)
        ids = np.empty((size, room), np.int32)
        found = Changed(
            ids,
            np.empty((size, room), np.float32),
            np.empty((size, room), np.float32),
            np.zeros(size, np.int64),
            Beside(ids, np.zeros(size, np.int64), np.empty((size, room), np.float32), masses),
            np.zeros(size),
        )
        rows, (biases, again) = np.ascontiguousarray(rows), self._biases(rows.shape[1])

        def gather(some: slice) -> None:
            part = found.rows(some)
            changes.gather(
                rows[some], self._neighbours, self._weights, self._reads, self._shares, biases, again,
                self.scan.items, *part[:4], part.beside.known,
            )  # fmt: skip

        self._by_sessions(gather, size)
        return found

    def best(
        self, vectors: NDArray[np.float32], k: int, excluded: Ragged, changed: Changed
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return what `DenseScan.best` does, of changed scores; the norms are written into `changed`."""
        vectors, barred, size = self.scan.checked(vectors), places_of(excluded), len(vectors)
        scores, places = np.full((size, k), -np.inf, np.float32), np.full((size, k), NOWHERE)
        apart = self.scan.sorts(k) or self.scan.shared(size)[1] > 1  # the others' lists are made before, in another way
        others, theirs = self.scan.places(vectors, k, barred, changed.beside)[::-1] if apart else (scores, places)
        starts = np.concatenate([[0], np.cumsum(barred.lengths)])
        norm = self.config.weight, LARGEST

        def make(some: slice) -> None:
            part = changed.rows(some)
            given = (
                *self.scan.rounded, *self.scan.given, vectors[some], *self.scan.how, barred.values,
                starts[some.start : some.stop + 1], *part.beside,
            )  # fmt: skip
            into = part.counted, part.bias, *norm, part.norms
            if apart:
                mixing.merge(*given, *into, others[some], theirs[some], scores[some], places[some])
            else:
                mixing.lists(*given, room_of(k), *into, scores[some], places[some])

        self._by_sessions(make, size)
        return ids_of(places), scores

    def change(self, scores: NDArray[np.float32], ids: NDArray[np.int32], changed: Changed) -> None:
        """Change the scores (B, C) of candidates (C,), some of which may be fresh, to what lists have."""
        ids, known = np.ascontiguousarray(ids), changed.beside.known
        changes.change(ids, self.scan.items, *changed[:4], known, changed.norms, self.config.weight, scores)

    def change_fresh(self, scores: NDArray[np.float32], changed: Changed) -> None:
        """Change the scores (B, X) of fresh items: nothing was counted of them, but a session may hold them."""
        changes.change_fresh(changed.ids, changed.bias, changed.sizes, self.scan.items, scores)

    def cells(self, window: int) -> int:
        """Return how many numbers a session takes, beside what the scan does."""
        return self.scan.blocks + 4 * self._room(window)

    def _biases(self, length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the bias (1, L) of an item by the clicks since, (0, 0) of none, and by how often it came (L,)."""
        config, logs = self.config, np.log(np.arange(1, length + 1))
        if not config.biased:
            return np.empty((0, 0), np.float32), np.empty(0, np.float32)
        by_back = (config.seen + config.fade * logs).astype(np.float32)
        by_back[:1] = config.last
        return by_back[None], (config.again * logs).astype(np.float32)

    def _room(self, length: int) -> int:
        return int(self._reads.sum()) + length

    def _by_sessions(self, work: Callable[[slice], None], size: int) -> None:
        parts = self.scan.shared(size)[0]
        self.scan.each(lambda part: work(share(size, part, parts)), parts)


def _check(neighbours: NDArray[np.int32], weights: NDArray[np.float32], items: int) -> None:
    """Compiled code reads what it is told to read, so that is looked at before."""
    if neighbours.shape != weights.shape or len(neighbours) != items + 1:
        raise ValueError(f"counts of {items} items take neighbours and weights of {items + 1} rows, alike")
    if not neighbours.size or not PAD <= int(neighbours.min()) <= int(neighbours.max()) <= items:
        raise ValueError(f"the neighbours of items are not the catalogue ids 1..{items}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("the counts of items hold numbers that are negative or none")
