"""What follows what in the sessions of a log, counted in bounded memory: the best neighbours of every item.

Two clicks of a session that are d <= 10 apart count 1 / d for the earlier one's row, and `backward` / d for the later
one's. A row is divided by its sum and 2 more, so that what was seen rarely says little.

Legend: T clicks, V catalogue items, N neighbours, R rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from export.afterwards import NEIGHBOURS
from export.bundle.vocabulary import PAD
from model.data.log import SessionLog
from model.data.near_clicks import APART, near_pairs, summed
from model.machine.memory import trim_heap

__all__ = ["Neighbours", "best_neighbours", "every_neighbour", "table_bytes"]

PRIOR = 2.0  # added to the sum of a row
CLICKS = 1 << 19  # looked at in one go: some 60 MB of pairs, before those that are alike are added up
PAIRS = 1 << 24  # of one block of rows, about; most are alike
SORTED = 1 << 20  # of them in one go: some 40 MB

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of R rows, best first, padded with 0."""

    ids: NDArray[np.int32]  # (R, N)
    weights: NDArray[np.float32]  # (R, N)


def table_bytes(items: int) -> int:
    """Return what the table of a catalogue takes."""
    return (items + 1) * NEIGHBOURS * 8


def best_neighbours(log: SessionLog, rows: NDArray[np.integer], backward: tuple[float, ...]) -> list[Neighbours]:
    """Return the neighbours of the catalogue ids `rows`, R of them, ascending, for each weight of what came before."""
    wanted = np.zeros(len(log.vocabulary) + 1, dtype=np.bool_)
    wanted[rows] = True
    place = np.full(len(wanted), -1, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    log = log.wanted()
    before = _counted(log, wanted, place, len(rows), turned=True) if any(backward) else None
    after = _counted(log, wanted, place, len(rows), turned=False)
    return [_best(after, before if weight else None, weight) for weight in backward]


def every_neighbour(log: SessionLog, backward: float) -> Neighbours:
    """Return the table (V + 1, N') of the whole catalogue, N' <= N as wide as the longest row, row 0 padding."""
    size = len(log.vocabulary) + 1
    table = Neighbours(np.zeros((size, NEIGHBOURS), np.int32), np.zeros((size, NEIGHBOURS), np.float32))
    log = log.wanted()
    for rows in _blocks(log):
        (found,) = best_neighbours(log, rows, (backward,))
        table.ids[rows], table.weights[rows] = found.ids, found.weights
    width = max(1, int((table.ids != PAD).sum(axis=1).max()))
    return Neighbours(np.ascontiguousarray(table.ids[:, :width]), np.ascontiguousarray(table.weights[:, :width]))


def _blocks(log: SessionLog) -> Iterator[NDArray[np.int64]]:
    """Yield all catalogue ids in parts that have about as many pairs."""
    pairs = np.cumsum(log.popularity()) * (2 * APART)
    block = pairs // PAIRS
    for number in np.unique(block):
        yield np.flatnonzero(block == number) + PAD + 1


def _counted(log: SessionLog, wanted: _Mask, place: NDArray[np.int32], rows: int, *, turned: bool) -> sparse.csr_array:
    """Return counts (R, V + 1) of pairs whose earlier item is wanted, or with `turned` the later one."""
    shape = (rows, len(wanted))
    total = sparse.csr_array(shape, dtype=np.float32)
    for clicks, session in log.in_parts(CLICKS):
        found = near_pairs(clicks, session, wanted[clicks], turned=turned)
        part = sparse.coo_array((found.weight, (place[found.own], found.other)), shape=shape).tocsr()
        del found
        total = summed(total, part)
        del part
        trim_heap()
    return total


def _best(after: sparse.csr_array, before: sparse.csr_array | None, weight: float) -> Neighbours:
    """Return the largest entries of each row of after + weight * before, ties by id; some rows at a time."""
    entries = after.indptr.astype(np.int64) + (0 if before is None else before.indptr)
    ends = np.searchsorted(entries, np.arange(0, entries[-1], SORTED))  # the row in which each part begins
    cuts = np.unique(np.append(ends, (0, after.shape[0])))
    found = []
    for first, last in pairwise(cuts):
        own = after[first:last]
        found.append(_best_of(own if before is None else own + weight * before[first:last]))
    return Neighbours(np.concatenate([one.ids for one in found]), np.concatenate([one.weights for one in found]))


def _best_of(counts: sparse.csr_array) -> Neighbours:
    """Return the largest entries of each row."""
    counts.sum_duplicates()
    rows = counts.shape[0]
    row = np.repeat(np.arange(rows), np.diff(counts.indptr))
    share = (counts.data / (np.bincount(row, counts.data, rows) + PRIOR)[row]).astype(np.float32)
    order = np.argsort(
        (row.astype(np.uint64) << np.uint64(32)) | (~share.view(np.uint32)).astype(np.uint64), kind="stable"
    )
    rank = np.arange(len(row)) - counts.indptr[row]  # rows stay where they are
    kept = rank < NEIGHBOURS
    ids, weights = np.zeros((rows, NEIGHBOURS), np.int32), np.zeros((rows, NEIGHBOURS), np.float32)
    ids[row[kept], rank[kept]] = counts.indices[order][kept]
    weights[row[kept], rank[kept]] = share[order][kept]
    return Neighbours(ids, weights)
