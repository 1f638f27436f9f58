"""What is clicked together, both ways alike, as a symmetric sparse matrix in blocks of rows.

Two clicks of a session count for both items by how near they are (`model/data/near_clicks.py`). A matrix in one piece
would be there twice whenever something is added to it; of blocks only one is. An entry takes 8 bytes, 6 in a catalogue
of up to 65,535 items.

Legend: V catalogue, C counts (V + 1, V + 1) of what comes after what, S = C + C^T without an item beside itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from model.data.log import SessionLog
from model.data.near_clicks import near_pairs, summed
from model.machine.memory import trim_heap

__all__ = ["Block", "Together", "counted_together"]

CLICKS = 1 << 19  # looked at in one go: some 60 MB of pairs, before those that are alike are added up
BLOCKS = 16  # of rows, with about as many clicks each; one at a time is there as a sum and as its summands


class Block(NamedTuple):
    """Some rows, as `csr_array` has them, but for columns that take 16 bits where the catalogue lets them."""

    starts: NDArray[np.int32]  # (rows + 1,) of the entries (E,)
    columns: NDArray[Any]  # (E,)
    values: NDArray[np.float32]  # (E,)

    def whole(self, items: int) -> sparse.csr_array:
        """Return the rows over columns 0..items - 1; it shares the values."""
        columns = self.columns.astype(np.int32, copy=False)
        return sparse.csr_array((self.values, columns, self.starts), shape=(len(self.starts) - 1, items))


@dataclass(frozen=True, slots=True)
class Together:
    """A symmetric matrix (V + 1, V + 1) of float32."""

    blocks: list[Block]  # of consecutive rows, from 0
    bounds: NDArray[np.int64]  # (blocks + 1,) the first row of each, and V + 1

    def rows(self) -> Iterator[tuple[slice, sparse.csr_array]]:
        """Yield which rows, and these, block by block."""
        for (first, last), block in zip(pairwise(self.bounds.tolist()), self.blocks, strict=True):
            yield slice(first, last), block.whole(int(self.bounds[-1]))

    def sums(self) -> NDArray[np.float32]:
        """Return the sum of each row: (V + 1,)."""
        return np.concatenate([np.asarray(block.sum(axis=1)).ravel() for _, block in self.rows()])

    def divide(self, root: NDArray[np.float32]) -> None:
        """Divide each entry by the values (V + 1,) of its row and of its column."""
        for rows, block in self.rows():
            block.data /= np.repeat(root[rows], np.diff(block.indptr)) * root[block.indices]

    def product(self, thin: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the matrix times thin (V + 1, k)."""
        found = np.empty_like(thin)
        for rows, block in self.rows():
            found[rows] = block @ thin
        return found


def counted_together(log: SessionLog) -> Together:
    """Return S of a log of clicks."""
    share = np.cumsum(np.append(0, log.popularity())) * BLOCKS // max(1, log.clicks)  # (V + 1,) the block, but for ends
    bounds = np.unique(np.concatenate(([0], np.searchsorted(share, np.arange(1, BLOCKS)), [len(share)])))
    blocks = _after(log, bounds)
    _both_ways(blocks, bounds)
    return Together(blocks, bounds)


def _after(log: SessionLog, bounds: NDArray[np.int64]) -> list[Block]:
    """Return C, without an item after itself."""
    items = int(bounds[-1])
    total = [_kept(sparse.csr_array((last - first, items), dtype=np.float32)) for first, last in pairwise(bounds)]
    for clicks, session in log.in_parts(CLICKS):
        part = _pairs(clicks, session, items)
        for place, (first, last) in enumerate(pairwise(bounds)):
            total[place] = _kept(summed(total[place].whole(items), part[first:last]))
        del part
        trim_heap()
    for place, first in enumerate(bounds[:-1]):
        block = total[place].whole(items)
        rows = np.repeat(np.arange(first, first + block.shape[0], dtype=np.int32), np.diff(block.indptr))
        block.data[block.indices == rows] = 0.0
        block.eliminate_zeros()
        total[place] = _kept(block)
    return total


def _pairs(clicks: NDArray[np.int32], session: NDArray[np.int32], items: int) -> sparse.csr_array:
    """Return C of some clicks (T,), of whole sessions."""
    found = near_pairs(clicks, session)
    return sparse.coo_array((found.weight, (found.own, found.other)), shape=(items, items)).tocsr()


def _both_ways(blocks: list[Block], bounds: NDArray[np.int64]) -> None:
    """Make S of C, in its place: what is left of C and what is there of S hold each count once."""
    items = int(bounds[-1])
    for place, (first, last) in enumerate(pairwise(bounds)):
        # C^T in columns from `first` on, and before them S, which is the same both ways
        turned = sparse.vstack([block.whole(items)[:, first:last] for block in blocks], format="csr").T.tocsr()
        own = blocks[place].whole(items)
        own.data[own.indices < first] = 0.0
        blocks[place] = _kept(summed(turned, own))
        del turned, own
        trim_heap()


def _kept(block: sparse.csr_array) -> Block:
    """Return some rows as they are kept; the values are shared."""
    kind = np.uint16 if block.shape[1] <= 1 << 16 else np.int32
    return Block(block.indptr, block.indices.astype(kind, copy=False), block.data)
