"""Rows of different lengths, laid end to end: what sessions and exclusions are before a run pads them.

B rows, T values of all rows.
"""

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.events import is_wanted

__all__ = ["Ragged", "padded"]

_Ids = Sequence[int] | NDArray[np.integer]


class Ragged(NamedTuple):
    """B rows of catalogue ids."""

    values: NDArray[np.int32]  # (T,) row after row
    lengths: NDArray[np.int64]  # (B,)

    @classmethod
    def of(cls, rows: Sequence[_Ids]) -> "Ragged":
        """Take rows that are sequences of integers, or arrays."""
        lengths = _lengths(rows)
        if len(rows) and isinstance(rows[0], np.ndarray):
            return cls(np.concatenate(rows).astype(np.int32, copy=False), lengths)
        return cls(np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(lengths.sum())), lengths)

    @classmethod
    def empty(cls, rows: int) -> "Ragged":
        """Return that many rows with nothing in them."""
        return cls(np.empty(0, dtype=np.int32), np.zeros(rows, dtype=np.int64))

    @classmethod
    def look_up(cls, vocabulary: Vocabulary, rows: Sequence[Collection[str]]) -> "Ragged":
        """Return the catalogue ids of rows of shop ids; those that the model doesn't know are left out."""
        lengths = _lengths(rows)
        values = vocabulary.look_up(chain.from_iterable(rows), int(lengths.sum()))
        return cls(values, lengths)._keep(values != PAD)

    @classmethod
    def look_up_events(
        cls, vocabulary: Vocabulary, rows: Sequence[Collection[str]], kinds: Sequence[NDArray[np.int32]]
    ) -> tuple["Ragged", "Ragged"]:
        """Return the catalogue ids of rows of events, and their codes (export/events.py), for a model that reads both.

        Events on items that it doesn't know are left out; a row with none of interest left is empty: such a model has
        learned to answer those who want something. ValueError where codes and items of a row differ in number.
        """
        lengths = _lengths(rows)
        codes = np.concatenate([np.empty(0, dtype=np.int32), *kinds])
        if not np.array_equal(lengths, _lengths(kinds)):
            raise ValueError("kinds and items of a session differ in number")
        values = vocabulary.look_up(chain.from_iterable(rows), len(codes))
        row = np.repeat(np.arange(len(rows)), lengths)
        some = np.bincount(row, is_wanted(codes) & (values != PAD), minlength=len(rows)) > 0  # (B,)
        kept = (values != PAD) & some[row]
        return cls(values, lengths)._keep(kept), cls(codes, lengths)._keep(kept)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each row begins in `values`, (B,)."""
        return np.cumsum(self.lengths) - self.lengths

    def newest(self, count: int) -> "Ragged":
        """Return the last `count` values of each row."""
        if self.lengths.max(initial=0) <= count:
            return self
        place = np.arange(len(self.values)) - np.repeat(self.starts, self.lengths)  # (T,) in its row
        return self._keep(place >= np.repeat(self.lengths - count, self.lengths))

    def rows(self, chosen: NDArray[np.int64]) -> "Ragged":
        """Return some of the rows, in the order chosen."""
        lengths = self.lengths[chosen]
        starts = np.repeat(self.starts[chosen] - (np.cumsum(lengths) - lengths), lengths)
        return Ragged(self.values[starts + np.arange(len(starts))], lengths)

    def padded(self) -> NDArray[np.int32]:
        """Return the rows as one array (B, longest, at least 1), padded on the right."""
        return padded(self.values, self.lengths)

    def _keep(self, kept: NDArray[np.bool_]) -> "Ragged":
        if kept.all():
            return self
        row = np.repeat(np.arange(len(self.lengths)), self.lengths)  # (T,)
        return Ragged(self.values[kept], np.bincount(row[kept], minlength=len(self.lengths)))


def padded(values: NDArray[np.int32], lengths: NDArray[Any]) -> NDArray[np.int32]:
    """Return rows laid end to end as one array int32 (B, longest, at least 1), padded on the right."""
    longest = max(1, int(lengths.max()))
    if len(values) == longest * len(lengths):
        return values.reshape(len(lengths), longest)
    filled = np.arange(longest)[None, :] < lengths[:, None]  # (B, L)
    ids = np.full(filled.shape, PAD, dtype=np.int32)
    ids[filled] = values
    return ids


def _lengths(rows: Sequence[Any]) -> NDArray[np.int64]:
    return np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
