"""Rows of the changelog that are no session's: how far a partition is answered, of which topic its clicks are, and when
it was taken over last.

An exactly-once worker writes the position in the transaction that holds the answers themselves, so that it is never
behind them and never ahead. An at-least-once worker deletes what an earlier exactly-once worker left with its first
batch: for it the group's committed offset counts. No session can have these keys, as ids have no control characters.
"""

from collections.abc import Iterable
from typing import TypeVar

from stream.errors import BadState
from stream.partition.recovery import Row

__all__ = ["ORIGIN_KEY", "OWNER_KEY", "POSITION_KEY", "encode_position", "is_reserved", "split_positions"]

POSITION_KEY = b"\x00position"  # the offset below which every click is answered, in decimal digits
ORIGIN_KEY = b"\x00origin"  # the identity of the topic whose clicks the states are of (stream/partition/origins.py)
OWNER_KEY = b"\x00owner"  # milliseconds since the epoch, in decimal digits
AnyRow = TypeVar("AnyRow", bound=Row)


def is_reserved(key: bytes | None) -> bool:
    """Whether a row of the changelog is no session's."""
    return key is not None and key.startswith(b"\x00")


def encode_position(next_offset: int) -> bytes:
    """The row's value."""
    return str(next_offset).encode()


def split_positions(records: Iterable[AnyRow]) -> tuple[list[AnyRow], int | None]:
    """The sessions' rows among changelog records, and the last position: None if there is none, 0 if it was deleted.

    Raises BadState where it is damaged.
    """
    rows: list[AnyRow] = []
    newest: AnyRow | None = None
    for record in records:
        if not is_reserved(record.key):
            rows.append(record)
        elif record.key == POSITION_KEY:
            newest = record
    return rows, None if newest is None else _decode(newest.value)


def _decode(value: bytes | None) -> int:
    if value is None:
        return 0
    if not value.isdigit():
        raise BadState(f"a partition's position in the changelog cannot be read: {value[:20]!r}")
    return int(value)
