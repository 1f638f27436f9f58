"""Lists by multiplying everything, with numpy, in the order that the dense scan adds up in: what it is compared with.

V items, P parts of a vector, W_p their widths, H all together, K places.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_of", "products"]

_NOWHERE = -1


def products(tables: Sequence[NDArray[np.float32]], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores (V,) of all items; tables (V + 1, W_p), vector (H,)."""
    total, start = np.zeros(len(tables[0]) - 1, np.float32), 0
    for table in tables:
        width = table.shape[1]
        total += _product(table[1:], vector[start : start + width])
        start += width
    return total


def best_of(
    scores: NDArray[np.float32], k: int, excluded: Collection[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return places and scores (K,), best first, of equal ones the lower place first; -1 where no item is left."""
    left = np.ones(len(scores), dtype=np.bool_)
    left[[item - 1 for item in excluded if item]] = False
    places = np.lexsort((np.arange(len(scores)), -scores))
    places = places[left[places]][:k]
    short = k - len(places)
    best = np.pad(scores[places], (0, short), constant_values=-np.inf)
    return np.pad(places, (0, short), constant_values=_NOWHERE), best


def _product(items: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sixteen sums by turns, halves upon halves, and what is left over one by one."""
    sums, whole = np.zeros((len(items), 16), np.float32), len(part) & ~15
    for start in range(0, whole, 16):
        sums += items[:, start : start + 16] * part[start : start + 16]
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    total = sums[:, 0]
    for place in range(whole, len(part)):
        total = total + items[:, place] * part[place]
    return total
