"""Bringing the sessions' states back from the changelog, as raw rows.

A row, or a tombstone, counts unless a row of a newer source offset is there already: a worker that was stopped past its
time in the group, and went on, may have written old ones behind the new owner's. Where such a one is a session's
newest, compaction would keep it and delete the right one: its key is noted as stale, for the owner to write its row
again.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from stream.partition.erased import ErasedSessions, mark_of, tombstone_offset
from stream.partition.rows import SessionRows
from stream.partition.session import decode_head

__all__ = ["Row", "restore_rows"]


class Row(Protocol):
    """What is needed of a record of the changelog."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def restore_rows(
    state: SessionRows, rows: Sequence[Row], stale: set[bytes], erased: ErasedSessions | None = None
) -> int:
    """Apply the next rows of one partition to its state in their order; the number of them skipped as older.

    `stale` holds the keys whose newest row so far was skipped; `erased` the sessions that were erased, among them those
    of tombstones that are met here. A row without a value deletes the session; one that names no source offset does so
    at all events. Raises BadState where a row to compare with cannot be read.
    """
    erased = ErasedSessions() if erased is None else erased
    fresh = {row.key: row.value for row in rows if row.key is not None and row.value is not None}
    if (
        len(fresh) == len(rows) and not erased.holds_any(fresh) and state.put_new(fresh)
    ):  # most of a compacted changelog is
        stale.difference_update(fresh)
        return 0
    skipped = 0
    for row in rows:
        key, value = row.key, row.value
        if key is None:
            continue
        if value is None and (mark := mark_of(row)) is not None:
            erased.restore(key, mark)
        elif value is None and tombstone_offset(row) is None:
            erased.forget(key)
        known = state.get(key)
        is_older = known is not None and _offset(row) < decode_head(known).offset
        if is_older or (value is not None and erased.covers_row(key, _offset(row))):
            skipped += 1
            stale.add(key)
            continue
        if value is not None:
            state[key] = value
        elif known is not None:
            del state[key]
        stale.discard(key)
    return skipped


def _offset(row: Row) -> float:
    if row.value is not None:
        return decode_head(row.value).offset
    offset = tombstone_offset(row)
    return math.inf if offset is None else offset
