"""Other ways to lists from item codes, for comparison: faiss, and dynamic pruning as published (arXiv 2505.00560).

faiss's fast scan rounds its tables to bytes, and its lists are not exact; what proving them would take is not counted.
V items, m splits, K a list.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from export.codes.codes import ItemCodes
from export.scan.plain import best_first, sums

__all__ = ["peers"]

Lists = Callable[[NDArray[np.float32]], Any]


def peers(codes: ItemCodes, k: int) -> Iterator[tuple[str, Lists]]:
    """Yield the ways that can be had here; the others are said on stderr."""
    yield "numpy", _numpy(codes, k)
    yield "pruning", _pruning(codes, k)
    try:
        faiss = importlib.import_module("faiss")
    except ImportError:
        print("faiss is not installed: pip install faiss-cpu", file=sys.stderr)
        return
    faiss.omp_set_num_threads(1)
    index = _faiss_index(faiss, codes)
    yield "faiss IndexPQ", lambda vectors: index.search(vectors, k)
    if codes.code_bits == 4:
        fast = faiss.IndexPQFastScan(index)
        yield "faiss fast scan", lambda vectors: fast.search(vectors, k)


def _numpy(codes: ItemCodes, k: int) -> Lists:
    rows = codes.codes[1:]
    return lambda vectors: [best_first(sums(rows, table), k) for table in codes.table(vectors)]


def _faiss_index(faiss: Any, codes: ItemCodes) -> Any:
    """Return a product quantizer that is the codes and books as they are."""
    index = faiss.IndexPQ(codes.hidden, codes.splits, codes.code_bits, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(codes.books.ravel(), index.pq.centroids)
    packed: NDArray[np.uint8] = codes.codes[1:]
    if codes.code_bits == 4:
        packed = (packed[:, ::2] | (packed[:, 1::2] << 4)).astype(np.uint8)
    faiss.copy_array_to_vector(np.ascontiguousarray(packed).ravel(), index.codes)
    index.ntotal, index.is_trained = codes.items, True
    return index


def _pruning(codes: ItemCodes, k: int) -> Lists:
    """Items of the codes that promise most first, from lists of the items of each code, until nothing can enter."""
    rows = np.ascontiguousarray(codes.codes[1:])
    order = np.stack([np.argsort(column, kind="stable") for column in rows.T]).astype(np.int32)  # (m, V)
    counts = np.stack([np.bincount(column, minlength=codes.values) for column in rows.T])
    ends = np.concatenate([np.zeros((codes.splits, 1), np.int64), np.cumsum(counts, axis=1)], axis=1)
    seen = np.zeros(codes.items, dtype=np.int32)
    run = [0]

    def lists(vectors: NDArray[np.float32]) -> None:
        for table in codes.table(vectors):
            run[0] += 1
            best, places = np.full(k, -np.inf, np.float32), np.zeros(k, np.int32)
            _prune(rows, table, np.argsort(-table, axis=1), order, ends, seen, run[0], best, places)

    return lists


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _prune(
    rows: Any, table: Any, ranked: Any, order: Any, ends: Any, seen: Any, run: int, best: Any, places: Any
) -> None:
    splits, values = table.shape
    at = np.zeros(splits, np.int64)
    while True:
        bound, split, most = 0.0, -1, -np.inf
        for one in range(splits):
            if at[one] == values:
                return
            bound += table[one, ranked[one, at[one]]]
            fall = table[one, ranked[one, at[one]]]
            if fall > most:
                split, most = one, fall
        if bound <= best[0]:
            return
        code = ranked[split, at[split]]
        at[split] += 1
        for place in order[split, ends[split, code] : ends[split, code + 1]]:
            if seen[place] == run:
                continue
            seen[place] = run
            total = np.float32(0.0)
            for one in range(splits):
                total += table[one, rows[place, one]]
            if total > best[0]:
                _insert(best, places, total, place)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _insert(best: Any, places: Any, score: Any, place: int) -> None:
    """Take the place of the least, at the front of an ascending list."""
    at = 0
    while at + 1 < len(best) and best[at + 1] < score:
        best[at], places[at] = best[at + 1], places[at + 1]
        at += 1
    best[at], places[at] = score, place
