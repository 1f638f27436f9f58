"""Codes of items that nobody has clicked yet, by the attributes that they share with items that somebody has.

A value of an attribute stands where the items that have it are, on the average; a new item stands between its values,
rare ones counting more, as they say more; and its code is, split by split, that of the sub-vector nearest to there.
Legend: V catalogue, N new items, F features, m splits, C values of a code, W width of a sub-vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.codes.codes import ItemCodes
from export.items.features import FeatureRows

__all__ = ["codes_by_features"]

_AT_ONCE = 1 << 14  # items compared with a book


def codes_by_features(
    table: ItemCodes, known: FeatureRows, new: FeatureRows
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return codes (N, m) of new items, and which of them (N,) share a feature with a known one: others have zeros.

    known: features of the V + 1 rows of `table`, padding the first, with none.
    """
    size = 1 + max(int(rows.codes.max(initial=PAD)) for rows in (known, new))
    has = np.bincount(known.codes, minlength=size)  # (F,) known items with a feature
    rare = np.where(has > 0, np.log1p(table.items / np.maximum(has, 1)), 0.0)  # (F,)
    weights = rare[new.codes] * new.weights
    of_new = np.repeat(np.arange(len(new)), new.counts)
    total = np.bincount(of_new, weights, minlength=len(new))  # (N,)
    placed = total > 0
    of_known = np.repeat(np.arange(len(known)), known.counts)
    codes = np.zeros((len(new), table.splits), np.uint8)
    for split, book in enumerate(table.books):
        spread = np.bincount(
            known.codes * table.values + table.codes[of_known, split], minlength=size * table.values
        ).reshape(size, table.values)  # known items by feature and code
        means = (spread @ book) / np.maximum(has, 1)[:, None]  # (F, W)
        codes[:, split] = _between(means, weights, new, np.where(placed, total, 1.0), book)
    codes[~placed] = 0
    return codes, placed


def _between(
    means: NDArray[np.floating],
    weights: NDArray[np.floating],
    new: FeatureRows,
    total: NDArray[np.float64],
    book: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Return the codes (N,) nearest to where items stand by the means (F, W) of their features."""
    found = np.empty(len(new), np.uint8)
    length = (book * book).sum(axis=1)  # (C,)
    for first in range(0, len(new), _AT_ONCE):
        last = min(first + _AT_ONCE, len(new))
        part = slice(new.offsets[first], new.offsets[last])
        rows = np.zeros((last - first, means.shape[1]))
        of_row = np.repeat(np.arange(last - first), new.counts[first:last])
        np.add.at(rows, of_row, means[new.codes[part]] * weights[part, None])
        rows /= total[first:last, None]
        found[first:last] = (length - 2.0 * (rows @ book.T)).argmin(axis=1)
    return found
