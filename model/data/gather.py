"""Picking and counting by numbers, some at a time: NumPy widens numbers of 32 bits to 64 before it goes by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.files import leave_in_file

__all__ = ["counted", "gather_ranges", "places", "taken"]

AT_ONCE = 1 << 20  # numbers that are widened: 8 MiB


def places(count: int) -> NDArray[Any]:
    """Return 0..count - 1, in 32 bits where they do: (count,)."""
    return np.arange(count, dtype=np.int32 if count < 1 << 31 else np.int64)


def taken(values: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """Return values[index] of a row of values, by places (N,) of any width: (N,). Values in a file stay there."""
    found = np.empty(len(index), values.dtype)
    for first in range(0, len(index), AT_ONCE):
        found[first : first + AT_ONCE] = values[index[first : first + AT_ONCE]]
        leave_in_file(values)
    return found


def counted(codes: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Return how often each of the codes 0..size - 1 is there: (size,)."""
    at_once = max(AT_ONCE, size)  # so that the sums of the parts cost no more than the parts
    found = np.zeros(size, np.int64)
    for first in range(0, len(codes), at_once):
        found += np.bincount(codes[first : first + at_once], minlength=size)
    return found


def gather_ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row numbers of several ranges, one after the other: (sum(lengths),) int64."""
    before = np.cumsum(lengths) - lengths
    rows: NDArray[np.int64] = np.repeat(starts - before, lengths)
    for first in range(0, len(rows), AT_ONCE):
        part = rows[first : first + AT_ONCE]
        part += np.arange(first, first + len(part))
    return rows
