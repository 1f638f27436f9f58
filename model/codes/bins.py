"""From factors of items to their codes: each factor cut into bins of equal counts.

Source: Petrov & Macdonald, "RecJPQ", WSDM 2024, and asash/RecJPQ: min-max, noise N(0, 1e-5), quantile bins. Legend: V
catalogue, m splits, b bits a code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD

__all__ = ["NOISE", "binned", "random_codes"]

NOISE = 1e-5  # of a factor's range, standard deviation: parts items of the same factor, such as those hardly clicked


def binned(factors: NDArray[np.floating], bits: int, seed: int) -> NDArray[np.uint8]:
    """Return codes (V + 1, m) of factors (V, m): row i + 1 is item i's, row 0 padding.

    Each code of a split has as many items as any other, one more or less.
    """
    items, splits = factors.shape
    random = np.random.default_rng(seed)
    codes = np.zeros((items + PAD + 1, splits), np.uint8)
    ranks = (np.arange(items, dtype=np.int64) << bits) // items  # (V,) the code of each place, smallest factor first
    for split in range(splits):
        values = factors[:, split].astype(np.float64)
        values -= values.min()
        values /= values.max() or 1.0
        values += random.standard_normal(items) * NOISE
        codes[1 + PAD + np.argsort(values), split] = ranks
    return codes


def random_codes(items: int, splits: int, bits: int, seed: int) -> NDArray[np.uint8]:
    """Return codes (V + 1, m) that say nothing of the items, with the same counts."""
    return binned(np.zeros((items, splits), np.float32), bits, seed)
