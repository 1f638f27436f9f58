"""The micro-batcher: one first-in-first-out line a partition, taken from in rotation.

A batch holds clicks of one partition only, so that the clicks of a session meet in one batch and coalesce, and so that
batches of a partition begin, and end, in the order of their offsets. It holds what waits: a few clicks when traffic is
light, up to `max_batch` under backlog. Nothing waits for a batch to fill.

What waits is bounded in clicks and in bytes: a message of a megabyte, rejected in the end, counts as what it is.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from stream.partition.ledger import Ledger, Partition, Record

__all__ = ["Batch", "Batcher"]


class Batch(NamedTuple):
    """Records of one partition in the order of their offsets; never empty."""

    partition: Partition
    records: list[Record]
    epoch: int


def _always(partition: Partition) -> bool:
    return True


class Batcher:
    """Lives on the event loop. Bounded by `room`, which the fetcher awaits before it fetches more.

    A batch takes up to a quarter of `max_bytes`, or one record that is larger.
    """

    def __init__(self, *, max_batch: int, max_queued: int, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.max_batch = max_batch
        self._max_queued = max_queued
        self._max_bytes = max_bytes
        self._batch_bytes = max_bytes // 4
        self._lines: dict[Partition, deque[Record]] = {}
        self._line_bytes: dict[Partition, int] = {}
        self._turns: deque[Partition] = deque()  # partitions whose line is not empty, next one first
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.queued = 0
        self.queued_bytes = 0

    def put(self, partition: Partition, records: Sequence[Record]) -> None:
        """Append to the partition's line. May exceed the bound by one fetch; that is what `room` is for."""
        if not records:
            return
        line = self._lines.setdefault(partition, deque())
        if not line:
            self._turns.append(partition)
        line.extend(records)
        size = _size_of_all(records)
        self._line_bytes[partition] = self._line_bytes.get(partition, 0) + size
        self.queued += len(records)
        self.queued_bytes += size
        self._arrived.set()
        if self.full:
            self._room.clear()

    @property
    def full(self) -> bool:
        """Whether one of the bounds is reached."""
        return self.queued >= self._max_queued or self.queued_bytes >= self._max_bytes

    async def room(self) -> None:
        """Return once less waits than the bounds."""
        await self._room.wait()

    async def take(self, ledger: Ledger, may_begin: Callable[[Partition], bool] = _always) -> Batch:
        """The next batch, of the partition whose turn it is, stamped with the epoch in which it is begun.

        Partitions that may begin none are passed over; `look_again` once that may have changed.
        """
        while (partition := self._next(may_begin)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        line = self._lines[partition]
        records, size = self._cut(line, self._line_bytes[partition])
        self._line_bytes[partition] -= size
        if line:
            self._turns.append(partition)
        self._took(len(records), size)
        return Batch(partition, records, ledger.epoch)

    def look_again(self) -> None:
        """A partition may begin a batch that might not before."""
        self._arrived.set()

    def _next(self, may_begin: Callable[[Partition], bool]) -> Partition | None:
        for _ in range(len(self._turns)):
            partition = self._turns.popleft()
            if may_begin(partition):
                return partition
            self._turns.append(partition)
        return None

    def _cut(self, line: deque[Record], line_bytes: int) -> tuple[list[Record], int]:
        """Take a batch from the front of a line; its records and their bytes."""
        if len(line) <= self.max_batch and line_bytes <= self._batch_bytes:
            records = list(line)
            line.clear()
            return records, line_bytes
        records, size = list(islice(line, self.max_batch)), 0
        for count, record in enumerate(records):
            size += _size(record)
            if size > self._batch_bytes and count:
                size -= _size(record)
                del records[count:]
                break
        for _ in records:
            line.popleft()
        return records, size

    def clear(self, partition: Partition | None = None) -> None:
        """Drop what waits, of all partitions or of one. None of it was begun; it is read again after a seek."""
        if partition is None:
            self._lines.clear()
            self._line_bytes.clear()
            self._turns.clear()
            self._took(self.queued, self.queued_bytes)
        elif line := self._lines.pop(partition, None):
            self._turns.remove(partition)
            self._took(len(line), self._line_bytes.pop(partition))

    def _took(self, count: int, size: int) -> None:
        self.queued -= count
        self.queued_bytes -= size
        if not self.full:
            self._room.set()


def _size(record: Record) -> int:
    """Bytes of the parts that a shop may fill as it likes."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers) if record.headers else 0
    return len(record.value or b"") + len(record.key or b"") + headers


def _size_of_all(records: Sequence[Record]) -> int:
    """The same of many, at a third of the cost: once for every click there is."""
    with_headers = [record for record in records if record.headers]
    size = sum([len(record.value or b"") + len(record.key or b"") for record in records])
    return size + sum(len(name) + len(value or b"") for record in with_headers for name, value in record.headers)
