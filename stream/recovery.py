"""Bringing the sessions' states back from the changelog, as raw rows.

A row is taken unless a row of a newer source offset is there already: a worker that was stopped past its time in the
group, and went on, may have written old rows behind the new owner's. Where such a row is a session's newest, compaction
would keep it and delete the right one: its key is noted as stale, for the owner to write its row again.
"""

from collections.abc import Iterable
from typing import Protocol

from stream.session import decode_head

__all__ = ["RecoverableStore", "Row", "restore_rows"]


class Row(Protocol):
    """What is needed of a record of the changelog."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class RecoverableStore(Protocol):
    """A store whose rows can be put and deleted without a changelog."""

    def get(self, key: bytes, partition: int) -> bytes | None: ...
    def put(self, key: bytes, row: bytes, partition: int) -> None: ...
    def delete(self, key: bytes) -> None: ...


def restore_rows(store: RecoverableStore, rows: Iterable[Row], partition: int, stale: set[bytes]) -> int:
    """Apply the next rows of one partition in their order; the number of rows skipped as older.

    `stale` holds the keys whose newest row so far was skipped. A row without a value deletes the session. Raises
    BadState where a row to compare with cannot be read.
    """
    skipped = 0
    for record in rows:
        key, row = record.key, record.value
        if key is None:
            continue
        if row is None:
            store.delete(key)
        else:
            known = store.get(key, partition)
            if known is not None and decode_head(known).offset > decode_head(row).offset:
                skipped += 1
                stale.add(key)
                continue
            store.put(key, row, partition)
        stale.discard(key)
    return skipped
