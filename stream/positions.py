"""How far a partition is answered, as a row of the changelog beside the sessions' rows.

An exactly-once worker writes it in the transaction that holds the answers themselves, so that it is never behind them
and never ahead. Its key is one that no session can have, as ids have no control characters. At least once nobody
writes it, and what an earlier exactly-once worker left is not read: the group's committed offset counts.
"""

from collections.abc import Iterable
from typing import TypeVar

from stream.errors import BadState
from stream.recovery import Row

__all__ = ["POSITION_KEY", "encode_position", "split_positions"]

POSITION_KEY = b"\x00position"
AnyRow = TypeVar("AnyRow", bound=Row)


def encode_position(next_offset: int) -> bytes:
    """The row: the offset below which every click is answered, in decimal digits."""
    return str(next_offset).encode()


def split_positions(records: Iterable[AnyRow]) -> tuple[list[AnyRow], int | None]:
    """The sessions' rows among changelog records, and the last position, if there is one; BadState if it is damaged."""
    rows: list[AnyRow] = []
    newest: AnyRow | None = None
    for record in records:
        if record.key == POSITION_KEY:
            newest = record
        else:
            rows.append(record)
    return rows, None if newest is None else _decode(newest.value)


def _decode(value: bytes | None) -> int | None:
    """A position that was deleted by hand is none."""
    if value is None:
        return None
    if not value.isdigit():
        raise BadState(f"a partition's position in the changelog cannot be read: {value[:20]!r}")
    return int(value)
