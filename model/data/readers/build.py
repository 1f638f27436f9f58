"""`build_log`: the clicks of a `RawLog`, grouped by session, as the catalogue ids of a vocabulary."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.events import is_wanted
from model.data.gather import AT_ONCE, counted, gather_ranges, places, taken
from model.data.log import SessionLog
from model.data.readers.aside import taken_aside
from model.data.readers.raw import RawLog
from model.errors import DataError

__all__ = ["build_log", "in_session_order", "long_enough", "rows_of", "usable"]

SESSIONS = 1 << 17  # that are put in order at a time
CLICKS = 1 << 21  # that are sorted by session at a time, about: some 60 MB

Rows = NDArray[Any]  # line numbers of the raw log, of 32 bits where they do


def build_log(
    raw: RawLog,
    vocabulary: Vocabulary | None = None,
    *,
    min_support: int = 1,
    min_length: int = 2,
    times_in: Path | None = None,
) -> SessionLog:
    """Return the sessions of at least `min_length` clicks, each by time, in the order of their last click.

    Where the raw log keeps skips or dislikes the log says what each event is. They count for a session's place and an
    item's support, but not for its length: every session has `min_length` events that stand for interest.

    Without a vocabulary one is made of the items with at least `min_support` clicks, in the order of the shop's ids
    (numbers by value): sessions that are too short go first, then rare items, then sessions they leave too short. With
    a vocabulary, clicks on items it does not have are dropped instead. times_in: folder in a file of which the times
    lie; None: they are in memory. DataError if nothing is left.
    """
    if min_support < 1 or min_length < 1:
        raise ValueError(f"min_support and min_length must be at least 1, not {min_support} and {min_length}")
    if vocabulary is None:
        rows = long_enough(raw, places(raw.clicks), min_length)
        if min_support > 1:
            rows = long_enough(raw, _supported(raw, rows, min_support), min_length)
        vocabulary, ids = _new_vocabulary(raw, rows)
    else:
        ids = np.array([vocabulary.index(item) for item in raw.item_names()], np.int32)  # (I,) 0 where unknown
        rows = _known(raw, ids, min_length)
    if not len(rows):
        raise DataError(f"no session of at least {min_length} clicks on known items among {raw.clicks:,} clicks")
    rows, lengths = in_session_order(raw, rows)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return SessionLog(
        items=taken(ids, taken(raw.items, rows)),
        offsets=offsets,
        ts=taken(raw.ts, rows) if times_in is None else taken_aside(raw.ts, rows, times_in),
        vocabulary=vocabulary,
        kinds=(taken(raw.kinds, rows) + 1).astype(np.int8) if raw.typed else None,
    )


def rows_of(raw: RawLog, vocabulary: Vocabulary, *, min_length: int = 2) -> Rows:
    """Return the line of the raw log that each click of `build_log(raw, vocabulary)` comes from: (T,)."""
    ids = np.array([vocabulary.index(item) for item in raw.item_names()], np.int32)  # (I,)
    return in_session_order(raw, _known(raw, ids, min_length))[0]


def usable(raw: RawLog, min_length: int = 2) -> RawLog:
    """Return the lines of sessions that are long enough; the log itself where all are."""
    rows = long_enough(raw, places(raw.clicks), min_length)
    return raw if len(rows) == raw.clicks else raw.select(rows)


def long_enough(raw: RawLog, rows: Rows, min_length: int) -> Rows:
    """Return those lines whose session has at least `min_length` of them that stand for interest."""
    if min_length == 1 and not raw.typed:
        return rows
    sessions = taken(raw.sessions, rows)
    of_interest = sessions[is_wanted(taken(raw.kinds, rows) + 1)] if raw.typed else sessions
    return _of(rows, sessions, counted(of_interest, len(raw.session_ids)) >= min_length)


def _supported(raw: RawLog, rows: Rows, min_support: int) -> Rows:
    """Return those lines whose item has at least `min_support` of them."""
    items = taken(raw.items, rows)
    return _of(rows, items, counted(items, len(raw.item_ids)) >= min_support)


def _known(raw: RawLog, ids: NDArray[np.int32], min_length: int) -> Rows:
    """Return the lines of items that have a catalogue id (I,), of sessions that have enough of these."""
    return long_enough(raw, _of(places(raw.clicks), raw.items, ids != PAD), min_length)


def _of(rows: Rows, codes: NDArray[np.int32], kept: NDArray[np.bool_]) -> Rows:
    """Return those lines whose code (T,) is kept; `rows` itself where all are."""
    chosen = taken(kept, codes)
    return rows if chosen.all() else rows[chosen]


def _new_vocabulary(raw: RawLog, rows: Rows) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Return the items of some lines as a vocabulary, and the catalogue id of each item code: (I,), 0 where unused."""
    used = np.flatnonzero(counted(taken(raw.items, rows), len(raw.item_ids)))
    names = raw.item_names()
    ids = np.zeros(len(names), np.int32)
    ids[used] = np.arange(PAD + 1, PAD + 1 + len(used))
    return Vocabulary(names[code] for code in used.tolist()), ids


def in_session_order(raw: RawLog, rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
    """Return the lines session by session with the length of each (S,); the order is stable in session and time."""
    if not _ascend(raw.ts, rows):
        rows = taken(rows, np.argsort(taken(raw.ts, rows), kind="stable"))
    rows = _by_session(raw, rows)
    sessions = taken(raw.sessions, rows)
    starts = np.append(0, np.flatnonzero(sessions[1:] != sessions[:-1]) + 1)[: len(rows)]  # (S,)
    lengths = np.diff(np.append(starts, len(rows)))
    order = np.argsort(raw.ts[rows[starts + lengths - 1]], kind="stable")
    starts, lengths = starts[order], lengths[order]
    found, done = np.empty_like(rows), 0
    for first in range(0, len(starts), SESSIONS):
        part = slice(first, first + SESSIONS)
        lines = rows[gather_ranges(starts[part], lengths[part])]
        found[done : done + len(lines)] = lines
        done += len(lines)
    return found, lengths


def _ascend(values: NDArray[Any], rows: Rows) -> bool:
    """Return whether no line has a lower value than the one before."""
    for first in range(0, len(rows), AT_ONCE):
        part = values[rows[first : first + AT_ONCE + 1]]
        if np.any(part[1:] < part[:-1]):
            return False
    return True


def _by_session(raw: RawLog, rows: Rows) -> Rows:
    """Return the lines by session, those of each as they stand; some sessions at a time."""
    if _ascend(raw.sessions, rows):
        return rows
    sessions, number = taken(raw.sessions, rows), len(raw.session_ids)
    at_once = -(-number // -(-len(rows) // CLICKS))
    found, done = np.empty_like(rows), 0
    for first in range(0, number, at_once):
        at = np.flatnonzero((sessions >= first) & (sessions < first + at_once))
        part = rows[at[np.argsort(sessions[at], kind="stable")]]
        found[done : done + len(part)] = part
        done += len(part)
    return found
