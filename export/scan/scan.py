"""Exact lists from item codes: the best K of N sums of partial scores, exclusions honoured.

    scan = CodeScan(codes)
    ids, scores = scan.best(codes.table(vectors), 20, excluded)

The order is that of the scores in fp32, added up split after split, and of equal ones the lower catalogue id comes
first. Compiled by numba where it is installed, and by numpy, some 50 times slower, where it is not.

B sessions, V items, m splits, K asked for, C candidates, T threads.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.codes.codes import ItemCodes
from export.cores import usable_cores
from export.ranking.ragged import Ragged
from export.scan.blocks import in_blocks
from export.scan.loading import load_scan
from export.scan.places import places_of
from export.scan.plain import best_first, sums

__all__ = ["CodeScan"]

_log = logging.getLogger(__name__)
_SHARE = 8_192  # blocks that are worth a thread: half a million items, some 200 us; handing over costs half of that
_SOME = 1_024  # places that the scan fills well whatever the catalogue
_DEEP = 16  # a list of more than one in so many items is made by sorting them all
_NOWHERE = np.int32(2**31 - 1)
_LARGEST_SUM = float(np.finfo(np.float32).max) / 2  # half of it, as sums are rounded


class CodeScan:
    """Lists of one table of codes. Its methods may be called from any thread, also at the same time."""

    def __init__(self, codes: ItemCodes, *, threads: int = 1, way: str | None = None) -> None:
        """Lay the codes out, and compile, or read what was compiled before. threads: 0, those the process may use.

        way: of `ways()`; None: the fastest.
        """
        self.codes = codes
        self._kernel = _kernel()
        self._blocks = in_blocks(codes.codes[PAD + 1 :], codes.code_bits)
        ways = self.ways()
        if way is not None and way not in ways:
            raise ValueError(f"this processor has {', '.join(ways)}, not {way}")
        self.way = way or ways[0]
        count = min(threads or usable_cores(), max(1, len(self._blocks) // _SHARE))
        self._edges = np.linspace(0, len(self._blocks), count + 1).astype(int).tolist()
        self._pool = ThreadPoolExecutor(count - 1, "scan") if count > 1 and self._kernel else None

    def ways(self) -> tuple[str, ...]:
        """Return how this processor can look codes up, the fastest first."""
        if self._kernel is None:
            return ("numpy",)
        found: tuple[str, ...] = self._kernel.ways(self.codes.code_bits)
        return found

    @property
    def threads(self) -> int:
        """How many share the items among them."""
        return len(self._edges) - 1

    def best(
        self, tables: NDArray[np.float32], k: int, excluded: Ragged | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return catalogue ids int32 (B, K), best first, and their scores float32 (B, K).

        tables (B, m, 2^b), as `ItemCodes.table` gives them; excluded: B rows of catalogue ids that a list must not
        hold, 0 is none. Where fewer than K items are left, the list ends in id 0 with score -inf. ValueError for
        tables of another shape, or whose sums are not finite.
        """
        self._check(tables)
        size, items = len(tables), self.codes.items
        barred = Ragged.empty(size) if excluded is None else places_of(excluded)
        width = min(k, items)
        if self._kernel is None or width > max(_SOME, items // _DEEP):
            found = self._sorted(tables, width, barred)
        else:
            found = self._scanned(np.ascontiguousarray(tables), width, barred)
        if width == k:
            return found
        ids, scores = np.full((size, k), PAD, dtype=np.int32), np.full((size, k), -np.inf, dtype=np.float32)
        ids[:, :width], scores[:, :width] = found
        return ids, scores

    def scores(self, tables: NDArray[np.float32], ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the scores float32 (B, C) of items (C,) by their catalogue ids; -inf where that is 0.

        ValueError for an id outside 0..V, or tables as above.
        """
        self._check(tables)
        if len(ids) and not PAD <= int(ids.min()) <= int(ids.max()) <= self.codes.items:
            raise ValueError(f"there are scores of the catalogue ids 1..{self.codes.items}, and of no others")
        known = ids != PAD
        found = np.full((len(tables), len(ids)), -np.inf, dtype=np.float32)
        if self._kernel is not None:
            added = np.empty((len(tables), int(known.sum())), dtype=np.float32)
            places = np.ascontiguousarray(ids[known] - (PAD + 1), dtype=np.int32)
            self._kernel.add_up(self._blocks, np.ascontiguousarray(tables), places, added)
            found[:, known] = added
        else:
            codes = self.codes.codes[ids[known]]
            for row, table in enumerate(tables):
                found[row, known] = sums(codes, table)
        return found

    def _check(self, tables: NDArray[np.float32]) -> None:
        """Compiled code reads what it is told to read, so that is looked at before."""
        if tables.dtype != np.float32 or tables.shape[1:] != (self.codes.splits, self.codes.values):
            wanted = f"float32 (B, {self.codes.splits}, {self.codes.values})"
            raise ValueError(f"partial scores must be {wanted}, not {tables.dtype} {tables.shape}")
        most = np.maximum(tables.max(axis=2), -tables.min(axis=2)).sum(axis=1, dtype=np.float64)  # of a sum, (B,)
        if not np.isfinite(most).all():
            raise ValueError("partial scores are not finite: the model gives vectors that are no numbers")
        if (most > _LARGEST_SUM).any():
            raise ValueError(f"scores up to {most.max():.1e} are no numbers in fp32: the model's vectors are too long")

    def _scanned(
        self, tables: NDArray[np.float32], k: int, barred: Ragged
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        parts = self.threads
        shape = parts, len(tables), k
        scores, places = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, _NOWHERE)
        starts = np.zeros(len(tables) + 1, dtype=np.int64)
        np.cumsum(barred.lengths, out=starts[1:])
        kernel, items = self._kernel, self.codes.items
        assert kernel is not None
        way, bounds = kernel.WAYS[self.way], kernel.bounds(tables)

        def scan(part: int) -> None:
            blocks = self._blocks, *self._edges[part : part + 2], items
            kernel.scan(*blocks, tables, *bounds, way, barred.values, starts, scores[part], places[part])

        others = [self._pool.submit(scan, part) for part in range(1, parts)] if self._pool is not None else []
        scan(0)
        for other in others:
            other.result()
        found, there = scores[0], places[0]
        if parts > 1:
            every, where = (np.concatenate(list(some), axis=1) for some in (scores, places))  # (B, parts * K)
            order = np.lexsort((where, -every), axis=1)[:, :k]
            found, there = np.take_along_axis(every, order, 1), np.take_along_axis(where, order, 1)
        ids: NDArray[np.int32] = there + np.int32(PAD + 1)
        ids[there == _NOWHERE] = PAD
        return ids, found

    def _sorted(
        self, tables: NDArray[np.float32], k: int, barred: Ragged
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        ids, scores = np.empty((len(tables), k), dtype=np.int32), np.empty((len(tables), k), dtype=np.float32)
        for row, table in enumerate(tables):
            every = sums(self.codes.codes[PAD + 1 :], table)
            every[barred.rows(np.array([row])).values] = -np.inf
            places = best_first(every, k)
            scores[row] = every[places]
            ids[row] = np.where(scores[row] == -np.inf, PAD, places + PAD + 1)
        return ids, scores


def _kernel() -> ModuleType | None:
    """Return the compiled scan; None without numba, which is said."""
    if told := load_scan(coded=True):
        _log.info("%s", told)
    try:
        from export.scan import kernel
    except ImportError as error:
        _log.warning(
            "lists of a model of item codes are made by numpy, some 50 times slower, as numba can't be used here (%s): "
            "pip install 'nextclick[codes]'",
            error,
        )
        return None
    return kernel
