"""Bringing the sessions' states back from the changelog, as raw rows.

A row, or a tombstone, counts unless a row of a newer source offset is there already: a worker that was stopped past its
time in the group, and went on, may have written old ones behind the new owner's. Where such a one is a session's
newest, compaction would keep it and delete the right one: its key is noted as stale, for the owner to write its row
again.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from stream.partition.expiry import tombstone_offset
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


def restore_rows(state: SessionRows, rows: Sequence[Row], stale: set[bytes]) -> int:
    """Apply the next rows of one partition to its state in their order; the number of them skipped as older.

    `stale` holds the keys whose newest row so far was skipped. A row without a value deletes the session; one that
    names no source offset does so at all events. Raises BadState where a row to compare with cannot be read.
    """
    fresh = {row.key: row.value for row in rows if row.key is not None and row.value is not None}
    if len(fresh) == len(rows) and state.put_new(fresh):  # most of a compacted changelog is
        stale.difference_update(fresh)
        return 0
    skipped = 0
    for row in rows:
        key, value = row.key, row.value
        if key is None:
            continue
        known = state.get(key)
        if known is not None and _offset(row) < decode_head(known).offset:
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
