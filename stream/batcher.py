"""The micro-batcher: one first-in-first-out line a partition, taken from in rotation.

A batch holds clicks of one partition only, so that the clicks of a session meet in one batch and coalesce, and so that
batches of a partition begin, and end, in the order of their offsets. It holds what waits: a few clicks when traffic is
light, up to `max_batch` under backlog. Nothing waits for a batch to fill.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from stream.ledger import Ledger, Partition, Record

__all__ = ["Batch", "Batcher"]


class Batch(NamedTuple):
    """Records of one partition in the order of their offsets; never empty."""

    partition: Partition
    records: list[Record]
    epoch: int


class Batcher:
    """Lives on the event loop. Bounded by `room`, which the fetcher awaits before it fetches more."""

    def __init__(self, *, max_batch: int, max_queued: int) -> None:
        self.max_batch = max_batch
        self._max_queued = max_queued
        self._lines: dict[Partition, deque[Record]] = {}
        self._turns: deque[Partition] = deque()  # partitions whose line is not empty, next one first
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.queued = 0

    def put(self, partition: Partition, records: Sequence[Record]) -> None:
        """Append to the partition's line. May exceed the bound by one fetch; that is what `room` is for."""
        if not records:
            return
        line = self._lines.setdefault(partition, deque())
        if not line:
            self._turns.append(partition)
        line.extend(records)
        self.queued += len(records)
        self._arrived.set()
        if self.queued >= self._max_queued:
            self._room.clear()

    @property
    def full(self) -> bool:
        """Whether the bound is reached."""
        return self.queued >= self._max_queued

    async def room(self) -> None:
        """Return once fewer records wait than the bound."""
        await self._room.wait()

    async def take(self, ledger: Ledger) -> Batch:
        """The next batch, of the partition whose turn it is, stamped with the epoch in which it is begun."""
        while not self._turns:
            self._arrived.clear()
            await self._arrived.wait()
        partition = self._turns.popleft()
        line = self._lines[partition]
        if len(line) <= self.max_batch:
            records = list(line)
            line.clear()
        else:
            records = list(islice(line, self.max_batch))
            for _ in records:
                line.popleft()
            self._turns.append(partition)
        self._took(len(records))
        return Batch(partition, records, ledger.epoch)

    def clear(self, partition: Partition | None = None) -> None:
        """Drop what waits, of all partitions or of one. None of it was begun; it is read again after a seek."""
        if partition is None:
            self._lines.clear()
            self._turns.clear()
            self._took(self.queued)
        elif line := self._lines.pop(partition, None):
            self._turns.remove(partition)
            self._took(len(line))

    def _took(self, count: int) -> None:
        self.queued -= count
        if self.queued < self._max_queued:
            self._room.set()
