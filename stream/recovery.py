"""Bringing the sessions' states back from the changelog, as raw rows.

A row is taken unless a row of a newer source offset is there already: a worker that was stopped past its time in the
group, and went on, may have written old rows behind the new owner's.
"""

from collections.abc import Iterable
from typing import Protocol

from stream.ledger import Record
from stream.session import decode_head

__all__ = ["RecoverableStore", "restore_rows"]


class RecoverableStore(Protocol):
    """A store whose rows can be put and deleted without a changelog."""

    def get(self, key: bytes, partition: int) -> bytes | None: ...
    def put(self, key: bytes, row: bytes, partition: int) -> None: ...
    def delete(self, key: bytes) -> None: ...


def restore_rows(store: RecoverableStore, records: Iterable[Record], partition: int) -> int:
    """Apply changelog records of one partition in their order; the number of rows skipped as older.

    A record without a value deletes the row. Raises BadState where a row to compare with cannot be read.
    """
    skipped = 0
    for record in records:
        key, row = record.key, record.value
        if key is None:
            continue
        if row is None:
            store.delete(key)
            continue
        known = store.get(key, partition)
        if known is not None and decode_head(known).offset > decode_head(row).offset:
            skipped += 1
            continue
        store.put(key, row, partition)
    return skipped
