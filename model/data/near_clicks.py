"""Clicks that stand near each other in a session, pair by pair: what counts of items clicked together are summed of.

Two clicks of a session that are d <= 10 apart are a pair of weight 1 / d. Legend: T clicks, P pairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["APART", "NearPairs", "near_pairs", "summed"]

APART = 10  # clicks, at most


class NearPairs(NamedTuple):
    """Pairs, 12 bytes each: those one click apart first, then by where they stand."""

    own: NDArray[np.int32]  # (P,) the item that a pair counts for
    other: NDArray[np.int32]  # (P,)
    weight: NDArray[np.float32]  # (P,)


def near_pairs(
    clicks: NDArray[np.int32],
    session: NDArray[np.int32],
    wanted: NDArray[np.bool_] | None = None,
    *,
    turned: bool = False,
) -> NearPairs:
    """Return the pairs of some clicks (T,) of whole sessions, for the item that was clicked first, or with `turned`
    second; wanted (T,): clicks that count, None: all."""
    apart = range(1, min(APART, len(clicks) - 1) + 1)
    kept = []
    for near in apart:
        together = session[:-near] == session[near:]
        if wanted is not None:
            together &= wanted[near:] if turned else wanted[:-near]
        kept.append(np.flatnonzero(together).astype(np.int32))
    count = sum(map(len, kept))
    found = NearPairs(np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.float32))
    done = 0
    for near, places in zip(apart, kept, strict=True):
        at = slice(done, done + len(places))
        first, second = clicks[:-near][places], clicks[near:][places]
        found.own[at], found.other[at] = (second, first) if turned else (first, second)
        found.weight[at] = 1 / near
        done += len(places)
    return found


def summed(left: Any, right: Any) -> sparse.csr_array:
    """Return the sum of two `csr_array` in arrays of its own size: scipy's have room for what both hold."""
    total: sparse.csr_array = left + right
    total.data, total.indices = total.data.copy(), total.indices.copy()
    return total
