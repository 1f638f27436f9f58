"""The sessions of one partition: their states as bytes, by session id."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

__all__ = ["SessionRows"]


class SessionRows(MutableMapping[bytes, bytes]):
    """A dict that knows its size. Each partition has its own, as offsets of different partitions do not compare: where
    a session's clicks come from two partitions, it has a row in each, and neither touches the other."""

    def __init__(self, rows: Mapping[bytes, bytes] | None = None) -> None:
        self._rows: dict[bytes, bytes] = {}
        self.bytes = 0  # of keys and rows, without what Python adds to them
        if rows:
            self.put_new(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __getitem__(self, key: bytes) -> bytes:
        return self._rows[key]

    def get(self, key: bytes, default: Any = None) -> Any:
        """The row, or `default`. The one that every session of a batch passes through: no detour by an exception."""
        return self._rows.get(key, default)

    def __setitem__(self, key: bytes, row: bytes) -> None:
        before = self._rows.get(key)
        self.bytes += len(row) + len(key) if before is None else len(row) - len(before)
        self._rows[key] = row

    def __delitem__(self, key: bytes) -> None:
        self.bytes -= len(self._rows.pop(key)) + len(key)

    def __repr__(self) -> str:
        return f"SessionRows({self._rows!r})"

    def discard(self, key: bytes) -> None:
        """Delete the row, if there is one."""
        if key in self._rows:
            del self[key]

    def put_new(self, rows: Mapping[bytes, bytes]) -> bool:
        """Put many at once; False, and none of them, where one of the keys is there already."""
        if not self._rows.keys().isdisjoint(rows):
            return False
        self.bytes += sum(map(len, rows)) + sum(map(len, rows.values()))
        self._rows.update(rows)
        return True

    def holds_any(self, keys: Sequence[bytes]) -> bool:
        """Whether any of these has a row; thousands of them in well below a millisecond."""
        return not self._rows.keys().isdisjoint(keys)

    def clear(self) -> None:
        """Forget all of them, at once."""
        self._rows, self.bytes = {}, 0
