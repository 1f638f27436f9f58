"""Arrays that grow: a column of numbers, and rows of numbers that are replaced one by one.

R rows, T numbers of all rows.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "Lists", "joined"]

_FIRST = 1024
_GROWTH = 1.4  # little is wasted, and a million rows are reached in some twenty steps
_GARBAGE = 65_536  # numbers; below, what was replaced stays


class Column:
    """A numpy array that grows at its end."""

    __slots__ = ("_held", "_length")

    def __init__(self, dtype: Any) -> None:
        self._held: NDArray[Any] = np.zeros(_FIRST, dtype=dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[Any]:
        """The column (R,): a view of what is there now, which the next `append` may leave behind."""
        return self._held[: self._length]

    def __getitem__(self, row: int) -> Any:
        return self._held[row]

    def __setitem__(self, row: int, value: Any) -> None:
        self._held[row] = value

    def append(self, value: Any) -> None:
        """Add a value at the end."""
        if self._length == len(self._held):
            self._grow(self._length + 1)
        self._held[self._length] = value
        self._length += 1

    def extend(self, values: Sequence[Any] | NDArray[Any]) -> None:
        """Add values at the end."""
        end = self._length + len(values)
        if end > len(self._held):
            self._grow(end)
        self._held[self._length : end] = values
        self._length = end

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the values at whose places `kept` (R,) is false."""
        self._held = self.values[kept]
        self._length = len(self._held)

    def _grow(self, needed: int) -> None:
        held = np.zeros(max(needed, _FIRST, int(self._length * _GROWTH)), dtype=self._held.dtype)
        held[: self._length] = self.values
        self._held = held


class Lists:
    """R lists of numbers in one array. A replaced list is garbage until there is as much of it as of the rest."""

    __slots__ = ("_ends", "_garbage", "_numbers", "_starts")

    def __init__(self) -> None:
        self._numbers = Column(np.int32)
        self._starts = Column(np.int64)
        self._ends = Column(np.int64)
        self._garbage = 0

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, row: int) -> list[int]:
        found: list[int] = self._numbers.values[self._starts[row] : self._ends[row]].tolist()
        return found

    def append(self, numbers: Sequence[int]) -> None:
        """Add a list at the end."""
        self._starts.append(len(self._numbers))
        if numbers:
            self._numbers.extend(numbers)
        self._ends.append(len(self._numbers))

    def extend(self, lists: Sequence[Sequence[int]]) -> None:
        """Add lists at the end."""
        ends = len(self._numbers) + np.cumsum(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))
        self._starts.extend(np.concatenate([[len(self._numbers)], ends[:-1]]))
        self._ends.extend(ends)
        self._numbers.extend(np.fromiter(chain.from_iterable(lists), dtype=np.int32))

    def __setitem__(self, row: int, numbers: Sequence[int]) -> None:
        self._garbage += int(self._ends[row] - self._starts[row])
        self._starts[row] = len(self._numbers)
        if numbers:
            self._numbers.extend(numbers)
        self._ends[row] = len(self._numbers)
        if self._garbage > max(_GARBAGE, len(self._numbers) // 2):
            self._collect()

    def take(self, rows: NDArray[np.integer] | None = None) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return (numbers int32 (T,), lengths int64 (R,)) of some rows, or of all: copies, list after list."""
        starts, ends = self._starts.values, self._ends.values
        if rows is not None:
            starts, ends = starts[rows], ends[rows]
        lengths = ends - starts
        return self._numbers.values[joined(starts, lengths)], lengths

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the lists at whose places `kept` (R,) is false."""
        self._starts.keep(kept)
        self._ends.keep(kept)
        self._collect()

    def renumber(self, moved: NDArray[np.int32]) -> None:
        """Replace each number by what stands at its place in `moved`."""
        self._collect()
        held = self._numbers.values
        held[:] = moved[held]

    def _collect(self) -> None:
        numbers, lengths = self.take()
        kept = Column(np.int32)
        kept.extend(numbers)
        self._numbers, self._garbage = kept, 0
        ends = np.cumsum(lengths)
        self._starts.values[:] = ends - lengths
        self._ends.values[:] = ends


def joined(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of all numbers of lists that begin at `starts`, list after list (T,)."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
