"""Training batches of real positions only: several sessions share a row.

Legend: S sessions of a batch, R rows, P positions a row, T real positions. A session of n clicks gives n - 1 positions:
clicks 1..n-1 are inputs, clicks 2..n their targets. Sessions are placed longest first, each into the fullest row
that still has room (best fit decreasing); about 5 % of the positions stay empty with 64 a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD

__all__ = ["Ints", "PackedBatch", "Sessions", "pack", "pack_spans", "place", "position_shift", "ranges"]

Ints = NDArray[np.int64]


class Sessions(Protocol):
    """What packing reads of a SessionLog: clicks of session s are items[offsets[s]:offsets[s + 1]]."""

    @property
    def items(self) -> NDArray[np.int32]:
        """Catalogue ids of all clicks, session after session."""

    @property
    def offsets(self) -> Ints:
        """First click of each session, and the number of clicks at the end."""


class PackedBatch(NamedTuple):
    """Arrays of one batch; T entries stand in session order, then in click order."""

    ids: Ints  # (R, P) catalogue ids, 0 where empty
    positions: Ints  # (R, P) row of the position table
    owner: Ints  # (R, P) number of the session inside the batch, -1 where empty
    cells: Ints  # (T,) row * P + column of each real position
    targets: Ints  # (T,) catalogue ids
    sessions: Ints  # (T,) number of the session inside the batch
    kinds: Ints | None = None  # (R, P) code of each event, 0 where empty; None: all clicks
    read: Ints | None = None  # (Q,) rising, which of the T are predictions; None: all


def place(lengths: Sequence[int], row: int) -> tuple[Ints, Ints, int]:
    """Return the row (S,) and first column (S,) of every session, and the number of rows. Lengths are 1..row."""
    rows, columns = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    with_room: list[list[int]] = [[] for _ in range(row + 1)]  # room left -> rows
    count = 0
    for session in sorted(range(len(lengths)), key=lambda s: -lengths[s]):
        need = lengths[session]
        room = next((r for r in range(need, row + 1) if with_room[r]), None)
        if room is None:
            room, count = row, count + 1
            with_room[row].append(count - 1)
        target = with_room[room].pop()
        rows[session], columns[session] = target, row - room
        with_room[room - need].append(target)
    return rows, columns, count


def ranges(starts: Ints, lengths: Ints) -> tuple[Ints, Ints, Ints]:
    """Return, for each number of starts[s] .. starts[s] + lengths[s] - 1: itself, its s, its place among those of s."""
    sessions = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return starts[sessions] + within, sessions, within


def pack_spans(items: NDArray[np.int32], first: Ints, lengths: Ints, *, row: int, shift: Ints) -> PackedBatch:
    """Pack inputs items[first[s] : first[s] + lengths[s]]; `shift` (S,) is added to a session's positions 0, 1, ..."""
    rows, columns, count = place(lengths.tolist(), row)
    clicks, sessions, within = ranges(first, lengths)
    cells = rows[sessions] * row + columns[sessions] + within
    flat = np.full((3, count * row), (PAD,), np.int64)
    flat[1], flat[2] = 0, -1
    flat[0, cells], flat[1, cells], flat[2, cells] = items[clicks], within + shift[sessions], sessions
    ids, positions, owner = flat.reshape(3, count, row)
    return PackedBatch(ids, positions, owner, cells, items[clicks + 1].astype(np.int64), sessions)


def position_shift(lengths: Ints, *, window: int, from_end: bool) -> Ints:
    """Return what to add to positions 0, 1, ...: 0, or window - length to put the newest click at the right end."""
    return window - lengths if from_end else np.zeros_like(lengths)


def pack(log: Sessions, chosen: Ints, *, window: int, row: int, from_end: bool) -> PackedBatch:
    """Pack the newest window + 1 clicks of the sessions `chosen` (S,); each must have at least 2 clicks."""
    end = log.offsets[chosen + 1]
    first = np.maximum(log.offsets[chosen], end - window - 1)
    lengths = end - first - 1
    return pack_spans(
        log.items, first, lengths, row=row, shift=position_shift(lengths, window=window, from_end=from_end)
    )
