"""`SessionLog`: a click log as arrays, the sessions one after the other, no Python object a click.

A log that a model with feedback learns from holds skips and dislikes too, and says what each event is: `kinds`. Without
it every event is a click. Whatever counts clicks (popularity, baselines, targets) looks at `wanted()` of such a log.

Legend: S sessions, T clicks, V catalogue items (ids 1..V; 0 is padding and never occurs in a log).
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.events import KINDS, is_wanted
from model.data.gather import counted, gather_ranges
from model.errors import DataError

__all__ = ["SessionLog"]

_ARRAYS = {"items": np.int32, "offsets": np.int64, "ts": np.int64}  # the files of a saved log, each NAME.npy
_KINDS = "kinds"  # a further file, where the log has them
_VOCABULARY = "items.json"


@dataclass(frozen=True, eq=False)
class SessionLog:
    """Sessions in the order of their last click, the clicks of each by time. The arrays are not to be written to."""

    items: NDArray[np.int32]  # (T,) catalogue ids 1..V
    offsets: NDArray[np.int64]  # (S + 1,) session s is items[offsets[s]:offsets[s + 1]]; the first is 0, the last is T
    ts: NDArray[np.int64]  # (T,) ms since the epoch
    vocabulary: Vocabulary  # what the catalogue ids stand for
    kinds: NDArray[np.int8] | None = None  # (T,) code of each event (export/events.py); None: all clicks

    def __post_init__(self) -> None:
        """Check that the arrays fit together; ValueError names the first that does not."""
        for name, dtype in _ARRAYS.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != 1:
                raise ValueError(f"{name} must be a row of {np.dtype(dtype)}, not {array.dtype} {array.shape}")
        if not len(self.offsets) or self.offsets[0] != 0 or self.offsets[-1] != len(self.items):
            raise ValueError(f"offsets must run from 0 to {len(self.items)}")
        if np.any(self.offsets[1:] < self.offsets[:-1]):
            raise ValueError("offsets go back")
        if len(self.ts) != len(self.items):
            raise ValueError(f"{len(self.ts)} times for {len(self.items)} clicks")
        if len(self.items) and (self.items.min() <= PAD or self.items.max() > len(self.vocabulary)):
            raise ValueError(f"items has ids outside 1..{len(self.vocabulary)}")
        if self.kinds is None:
            return
        if self.kinds.dtype != np.int8 or self.kinds.shape != self.items.shape:
            raise ValueError(f"kinds must be int8 ({self.clicks},), not {self.kinds.dtype} {self.kinds.shape}")
        if len(self.kinds) and not 1 <= self.kinds.min() <= self.kinds.max() <= len(KINDS):
            raise ValueError(f"kinds has codes outside 1..{len(KINDS)}")

    @property
    def sessions(self) -> int:
        """S, the number of sessions."""
        return len(self.offsets) - 1

    @property
    def clicks(self) -> int:
        """T, the number of clicks."""
        return len(self.items)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Clicks of each session: (S,) int64."""
        return np.diff(self.offsets)

    @cached_property
    def is_wanted(self) -> NDArray[np.bool_]:
        """Which events stand for interest: all but skips and dislikes, (T,)."""
        return np.ones(self.clicks, np.bool_) if self.kinds is None else is_wanted(self.kinds)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The rows (P,) that a model is asked for: each event of interest of a session but the first."""
        if self.kinds is None:
            later = np.ones(self.clicks, np.bool_)
            later[self.offsets[:-1][self.lengths > 0]] = False
            return np.flatnonzero(later)
        before = np.concatenate(([0], np.cumsum(self.is_wanted)))  # (T + 1,) events of interest before each
        return np.flatnonzero(self.is_wanted & (before[:-1] > np.repeat(before[self.offsets[:-1]], self.lengths)))

    @property
    def first_ts(self) -> int:
        """Time of the earliest click, ms since the epoch; 0 if there is none."""
        return int(self.ts.min()) if self.clicks else 0

    @property
    def last_ts(self) -> int:
        """Time of the latest click, ms since the epoch; 0 if there is none."""
        return int(self.ts.max()) if self.clicks else 0

    def session(self, index: int) -> NDArray[np.int32]:
        """Return the items of one session, newest last; a view, not to be written to."""
        return self.items[self.offsets[index] : self.offsets[index + 1]]

    def popularity(self) -> NDArray[np.int64]:
        """Return the clicks on each of the ids 1..V: (V,) int64, id i at place i - 1. Skips and dislikes are none."""
        items = self.items if self.kinds is None else self.items[self.is_wanted]
        return counted(items, len(self.vocabulary) + 1)[1:]

    def select(self, rows: NDArray[Any]) -> "SessionLog":
        """Return the sessions of a boolean mask (S,) or of row numbers, in the order given; copies their clicks."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        return self._take(self.offsets[index], self.lengths[index])

    def wanted(self) -> "SessionLog":
        """Return the log without skips and dislikes; the same sessions in the same order, some maybe empty."""
        if self.kinds is None or self.is_wanted.all():
            return self
        before = np.concatenate(([0], np.cumsum(self.is_wanted)))  # (T + 1,) wanted events before each
        rows = np.flatnonzero(self.is_wanted)
        return self._rows(rows, before[self.offsets].astype(np.int64))

    def in_parts(self, clicks: int) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """Yield the items (T,) of whole sessions, `clicks` at most where no session has more, and which of them each
        click is of (T,), from 0."""
        first = 0
        while first < self.sessions:
            last = int(np.searchsorted(self.offsets, self.offsets[first] + clicks, side="right")) - 1
            last = max(last, first + 1)
            numbers = np.repeat(np.arange(last - first, dtype=np.int32), self.lengths[first:last])
            yield self.items[self.offsets[first] : self.offsets[last]], numbers
            first = last

    def thinned(self, sessions: int | None) -> "SessionLog":
        """Return the log, or so many of its sessions, evenly over its time."""
        if sessions is None or self.sessions <= sessions:
            return self
        return self.select(np.linspace(0, self.sessions - 1, sessions).round().astype(np.int64))

    def tail(self, max_items: int) -> "SessionLog":
        """Return every session cut to its newest `max_items` clicks (at least 1)."""
        if max_items < 1:
            raise ValueError(f"max_items must be at least 1, not {max_items}")
        if not self.clicks or int(self.lengths.max()) <= max_items:
            return self
        kept = np.minimum(self.lengths, max_items)
        return self._take(self.offsets[1:] - kept, kept)

    def digest(self) -> str:
        """Return the SHA-256, in hex, of all arrays and the vocabulary: equal logs have equal digests."""
        content = hashlib.sha256(self.vocabulary.to_bytes())
        for name in self._names():
            content.update(np.ascontiguousarray(getattr(self, name)).data)
        return content.hexdigest()

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write one .npy file an array and the vocabulary as JSON; `load` can then map them instead of reading them."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        for name in self._names():
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        if self.kinds is None:
            (folder / f"{_KINDS}.npy").unlink(missing_ok=True)  # of a log that was saved here before
        (folder / _VOCABULARY).write_bytes(self.vocabulary.to_bytes())

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, mapped: bool = True) -> "SessionLog":
        """Read what `save` wrote, memory-mapped unless told otherwise; DataError if it is not there or is damaged."""
        folder = Path(directory)
        try:
            names = [*_ARRAYS, *([_KINDS] if (folder / f"{_KINDS}.npy").exists() else [])]
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r" if mapped else None, allow_pickle=False)
                for name in names
            }
            vocabulary = Vocabulary.from_bytes((folder / _VOCABULARY).read_bytes())
            return cls(**arrays, vocabulary=vocabulary)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{folder} holds no usable session log: {error}") from error

    def _names(self) -> list[str]:
        """Return the names of the arrays there are."""
        return [*_ARRAYS, *([] if self.kinds is None else [_KINDS])]

    def _take(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> "SessionLog":
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        return self._rows(gather_ranges(starts, lengths), offsets)

    def _rows(self, rows: NDArray[np.int64], offsets: NDArray[np.int64]) -> "SessionLog":
        kinds = None if self.kinds is None else self.kinds[rows]
        return replace(self, items=self.items[rows], offsets=offsets, ts=self.ts[rows], kinds=kinds)
