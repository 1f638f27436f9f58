"""The micro-batcher: one first-in-first-out line a partition, taken from in rotation.

A batch holds clicks of one partition only, so that the clicks of a session meet in one batch and coalesce, and so that
batches of a partition begin, and end, in the order of their offsets. It holds what waits: a few clicks when traffic is
light, up to `max_batch` under backlog. Nothing waits for a batch to fill.

What waits is bounded in clicks and in bytes: a message of a megabyte, rejected in the end, counts as what it is.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Record

__all__ = ["Batch", "Batcher"]


class Batch(NamedTuple):
    """Records of one partition in the order of their offsets; never empty."""

    partition: OwnedPartition
    records: list[Record]
    epoch: int


def _always(partition: OwnedPartition) -> bool:
    return True


class Batcher:
    """Whose turn it is; the lines are the partitions' own. Lives on the event loop. Bounded by `room`, which the
    fetcher awaits before it fetches more.

    A batch takes up to a quarter of `max_bytes`, or one record that is larger.
    """

    def __init__(self, *, max_batch: int, max_queued: int, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.max_batch = max_batch
        self._max_queued = max_queued
        self._max_bytes = max_bytes
        self._batch_bytes = max_bytes // 4
        self._turns: deque[OwnedPartition] = deque()  # next one first; a line may have been emptied since
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def queued(self) -> int:
        """Records that wait. Read in any thread: the turns are copied first, as they may change meanwhile."""
        return sum([len(partition.line) for partition in list(self._turns)])

    @property
    def queued_bytes(self) -> int:
        """Their bytes."""
        return sum([partition.line.bytes for partition in list(self._turns)])

    def put(self, partition: OwnedPartition, records: Sequence[Record]) -> None:
        """Append to the partition's line. May exceed the bound by one fetch; that is what `room` is for."""
        if not records:
            return
        if not partition.line:
            if partition in self._turns:  # it was given up since, with what waited
                self._turns.remove(partition)
            self._turns.append(partition)
        partition.line.extend(records)
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

    async def take(self, partitions: Partitions, may_begin: Callable[[OwnedPartition], bool] = _always) -> Batch:
        """The next batch, of the partition whose turn it is, stamped with the epoch in which it is begun.

        Partitions that may begin none are passed over; `look_again` once that may have changed.
        """
        while (partition := self._next(may_begin)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        records = partition.line.cut(self.max_batch, self._batch_bytes)
        if partition.line:
            self._turns.append(partition)
        self._make_room()
        return Batch(partition, records, partitions.epoch)

    def look_again(self) -> None:
        """A partition may begin a batch that might not before, or its line was dropped."""
        self._make_room()
        self._arrived.set()

    def clear(self) -> None:
        """Drop what waits. None of it was begun; it is read again after a seek."""
        for partition in self._turns:
            partition.line.clear()
        self._turns.clear()
        self._make_room()

    def _next(self, may_begin: Callable[[OwnedPartition], bool]) -> OwnedPartition | None:
        for _ in range(len(self._turns)):
            partition = self._turns.popleft()
            if not partition.line:  # it was given up
                continue
            if may_begin(partition):
                return partition
            self._turns.append(partition)
        return None

    def _make_room(self) -> None:
        if not self.full:
            self._room.set()
