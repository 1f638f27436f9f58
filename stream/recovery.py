"""Bringing the sessions' states back from the changelog, as raw rows.

A row, or a tombstone, counts unless a row of a newer source offset is there already: a worker that was stopped past its
time in the group, and went on, may have written old ones behind the new owner's.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from stream.expiry import tombstone_offset
from stream.ledger import Record
from stream.session import decode_head

__all__ = ["RecoverableStore", "restore_rows"]


class RecoverableStore(Protocol):
    """A store whose rows can be put and deleted without a changelog."""

    def get(self, key: bytes, partition: int) -> bytes | None: ...
    def put(self, key: bytes, row: bytes, partition: int) -> None: ...
    def put_new(self, rows: Mapping[bytes, bytes], partition: int) -> bool: ...
    def delete(self, key: bytes) -> None: ...


def restore_rows(store: RecoverableStore, records: Sequence[Record], partition: int) -> int:
    """Apply changelog records of one partition in their order; the number of them skipped as older.

    A record without a value deletes the row; one that names no source offset does so at all events. Raises BadState
    where a row to compare with cannot be read.
    """
    fresh = {record.key: record.value for record in records if record.key is not None and record.value is not None}
    if len(fresh) == len(records) and store.put_new(fresh, partition):  # most of a compacted changelog is
        return 0
    skipped = 0
    for record in records:
        key, row = record.key, record.value
        if key is None:
            continue
        known = store.get(key, partition)
        if known is not None and _offset(record) < decode_head(known).offset:
            skipped += 1
        elif row is not None:
            store.put(key, row, partition)
        elif known is not None:
            store.delete(key)
    return skipped


def _offset(record: Record) -> float:
    if record.value is not None:
        return decode_head(record.value).offset
    offset = tombstone_offset(record)
    return math.inf if offset is None else offset
