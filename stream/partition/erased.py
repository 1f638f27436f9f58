"""Sessions that were erased, for as long as something of before could still come back.

An erase deletes a session's row by a tombstone. That alone forgets too well: clicks that are read again, and rows that
a worker which was stopped past its time in the group still sends, would bring the session back. So the tombstone says
up to which click it erases, and a partition remembers that of each: what is of a click up to there counts for nothing.

    a click at or below the mark             is left out, as the erase behind it was seen already
    a row at or below the mark               is skipped, and the owner writes the tombstone again behind it
    a skip or dislike of an earlier time     is left out wherever it stands: services that read the clicks send them
                                             behind what they are about (`nextclick feedback`)
    a tombstone that names no click          takes the mark back: the offsets are of a topic that was made again

Marks are in memory, and in the changelog for as long as it keeps tombstones. They are let go an hour after the clicks
they are about can't be read again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from export.events import NEGATIVES
from stream.messages.contract import Click

__all__ = [
    "ERASED_TS",
    "SOURCE_OFFSET",
    "ErasedSessions",
    "Mark",
    "WithHeaders",
    "mark_headers",
    "mark_of",
    "tombstone_offset",
]

SOURCE_OFFSET = "source_offset"  # header of a tombstone: the newest click the deleted row had applied, or the erase's
ERASED_TS = "erased_ts"  # header of a tombstone: when the session's shop asked for it, ms since the epoch
_KEPT_S = 3600.0


class WithHeaders(Protocol):
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Mark(NamedTuple):
    """Where a session was erased: all up to this offset, which was asked for at `ts`, ms since the epoch."""

    offset: int
    ts: int

    def covers(self, click: Click, offset: int) -> bool:
        """Whether a click is part of what was erased."""
        return offset <= self.offset or (click.type in NEGATIVES and click.ts <= self.ts)


class ErasedSessions:
    """The marks of one partition. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: OrderedDict[bytes, tuple[Mark, float]] = OrderedDict()  # by when they were noted
        self._restored: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._marks)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._marks)

    @property
    def newest(self) -> int:
        """The offset of the latest erase that is known; -1 without one."""
        return max((mark.offset for mark, _ in self._marks.values()), default=-1)

    def note(self, key: bytes, mark: Mark) -> None:
        """A session was erased; the mark of the later click counts."""
        known = self.get(key)
        if known is None or known.offset < mark.offset:
            self._marks[key] = mark, self._clock()
            self._marks.move_to_end(key)

    def restore(self, key: bytes, mark: Mark) -> None:
        """The same by the changelog: whoever erased it may have died before all of it was done."""
        self.note(key, mark)
        self._restored.add(key)

    def take_restored(self) -> list[tuple[bytes, Mark]]:
        """What was restored since the last call."""
        taken, self._restored = self._restored, set()
        return [(key, self._marks[key][0]) for key in sorted(taken & self._marks.keys())]

    def forget(self, key: bytes) -> None:
        """The mark counts no more."""
        self._marks.pop(key, None)

    def get(self, key: bytes) -> Mark | None:
        """The mark of a session, if it has one."""
        found = self._marks.get(key)
        return None if found is None else found[0]

    def covers_row(self, key: bytes, offset: float) -> bool:
        """Whether a row of this source offset is of what was erased."""
        found = self._marks.get(key)
        return found is not None and offset <= found[0].offset

    def holds_any(self, keys: Iterable[bytes]) -> bool:
        """Whether any of these sessions has a mark."""
        return bool(self._marks) and not self._marks.keys().isdisjoint(keys)

    def sweep(self, below: int | None) -> None:
        """Let go of old marks; `below`: no click below this offset is read again."""
        until = self._clock() - _KEPT_S
        while self._marks:
            key, (mark, noted) = next(iter(self._marks.items()))
            if noted > until or below is None or mark.offset >= below:
                return
            del self._marks[key]


def tombstone_offset(record: WithHeaders) -> int | None:
    """The source offset that a tombstone names; None where it names none."""
    for name, value in record.headers:
        if name == SOURCE_OFFSET and value is not None and value.isdigit():
            return int(value)
    return None


def mark_headers(mark: Mark) -> list[tuple[str, bytes]]:
    """What a tombstone says of an erase, beside what every tombstone says."""
    return [(SOURCE_OFFSET, str(mark.offset).encode()), (ERASED_TS, str(mark.ts).encode())]


def mark_of(row: WithHeaders) -> Mark | None:
    """The mark that a tombstone carries; None where it is no erase's."""
    offset = tombstone_offset(row)
    return None if offset is None else next((Mark(offset, ts) for ts in _times(row.headers)), None)


def _times(headers: Sequence[tuple[str, bytes | None]]) -> list[int]:
    return [int(value) for name, value in headers if name == ERASED_TS and value is not None and value.isdigit()]
