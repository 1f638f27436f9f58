"""`build_log`: the clicks of a `RawLog`, grouped by session, as the catalogue ids of a vocabulary."""

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.events import is_wanted
from model.data.log import SessionLog, gather_ranges
from model.data.readers.raw import RawLog
from model.errors import DataError

__all__ = ["build_log", "in_session_order", "long_enough", "new_vocabulary", "rows_of", "supported"]

Rows = NDArray[np.int64]  # line numbers of the raw log


def build_log(
    raw: RawLog, vocabulary: Vocabulary | None = None, *, min_support: int = 1, min_length: int = 2
) -> SessionLog:
    """Return the sessions of at least `min_length` clicks, each by time, in the order of their last click.

    Where the raw log keeps skips or dislikes the log says what each event is. They count for a session's place and an
    item's support, but not for its length: every session has `min_length` events that stand for interest.

    Without a vocabulary one is made of the items with at least `min_support` clicks, in the order of the shop's ids
    (numbers by value): sessions that are too short go first, then rare items, then sessions they leave too short. With
    a vocabulary, clicks on items it does not have are dropped instead. DataError if nothing is left.
    """
    if min_support < 1 or min_length < 1:
        raise ValueError(f"min_support and min_length must be at least 1, not {min_support} and {min_length}")
    if vocabulary is None:
        rows = long_enough(raw, np.arange(raw.clicks), min_length)
        rows = long_enough(raw, supported(raw, rows, min_support), min_length)
        vocabulary, ids = new_vocabulary(raw, rows)
    else:
        ids = np.array([vocabulary.index(item) for item in raw.item_names()], np.int32)  # (I,) 0 where unknown
        rows = long_enough(raw, np.flatnonzero(ids[raw.items] != PAD), min_length)
    if not len(rows):
        raise DataError(f"no session of at least {min_length} clicks on known items among {raw.clicks:,} clicks")
    rows, lengths = in_session_order(raw, rows)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return SessionLog(
        items=ids[raw.items[rows]],
        offsets=offsets,
        ts=raw.ts[rows],
        vocabulary=vocabulary,
        kinds=(raw.kinds[rows] + 1).astype(np.int8) if raw.typed else None,
    )


def rows_of(raw: RawLog, vocabulary: Vocabulary, *, min_length: int = 2) -> Rows:
    """Return the line of the raw log that each click of `build_log(raw, vocabulary)` comes from: (T,)."""
    ids = np.array([vocabulary.index(item) for item in raw.item_names()], np.int32)  # (I,)
    return in_session_order(raw, long_enough(raw, np.flatnonzero(ids[raw.items] != PAD), min_length))[0]


def long_enough(raw: RawLog, rows: Rows, min_length: int) -> Rows:
    """Return those lines whose session has at least `min_length` of them that stand for interest."""
    if min_length == 1 and not raw.typed:
        return rows
    sessions = raw.sessions[rows]
    counted = is_wanted(raw.kinds[rows] + 1) if raw.typed else None
    return rows[np.bincount(sessions, counted, minlength=1)[sessions] >= min_length]


def supported(raw: RawLog, rows: Rows, min_support: int) -> Rows:
    """Return those lines whose item has at least `min_support` of them."""
    if min_support == 1:
        return rows
    items = raw.items[rows]
    return rows[np.bincount(items, minlength=1)[items] >= min_support]


def new_vocabulary(raw: RawLog, rows: Rows) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Return the items of some lines as a vocabulary, and the catalogue id of each item code: (I,), 0 where unused."""
    used = np.flatnonzero(np.bincount(raw.items[rows], minlength=len(raw.item_ids)))
    names = raw.item_names()
    ids = np.zeros(len(names), np.int32)
    ids[used] = np.arange(PAD + 1, PAD + 1 + len(used))
    return Vocabulary(names[code] for code in used.tolist()), ids


def in_session_order(raw: RawLog, rows: Rows) -> tuple[Rows, Rows]:
    """Return the lines session by session with the length of each (S,); the order is stable in session and time."""
    if np.any(np.diff(raw.ts[rows]) < 0):
        rows = rows[np.argsort(raw.ts[rows], kind="stable")]
    rows = rows[np.argsort(raw.sessions[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(raw.sessions[rows], prepend=-1))
    lengths = np.diff(np.append(starts, len(rows)))
    order = np.argsort(raw.ts[rows[starts + lengths - 1]], kind="stable")
    return rows[gather_ranges(starts[order], lengths[order])], lengths[order]
