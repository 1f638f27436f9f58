"""The best sums without a compiler: every item added up by numpy. What the scan is compared with, and stands in for it.

B sessions, N items, m splits, K places, C candidates. Places count from 0.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_first", "sums"]


def sums(codes: NDArray[np.uint8], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores (N,) of one session: fp32, split after split. codes (N, m), table (m, 2^b)."""
    total = np.zeros(len(codes), dtype=np.float32)
    for split, entries in enumerate(table):
        total += entries[codes[:, split]]
    return total


def best_first(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the places (K,) of the best scores, best first, of equal ones the lower place first."""
    some = np.arange(len(scores))
    if k < len(scores) // 8:  # else sorting all costs about as much
        some = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[-k])
    return some[np.lexsort((some, -scores[some]))[:k]]
