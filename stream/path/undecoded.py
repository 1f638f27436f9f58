"""Batches whose clicks cannot be decoded yet, as their schema is not known: one a partition at most.

The others go on meanwhile. Their partition begins no further batch, so its order is kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from stream.partition.owned import OwnedPartition
from stream.partition.reading import Record
from stream.path.batcher import Batch

__all__ = ["Readable", "Undecoded"]

Readable = Callable[[Sequence[Record]], Awaitable[object] | None]  # None where they can be decoded now


class Undecoded:
    """For one event loop."""

    def __init__(
        self,
        readable: Readable | None,
        run: Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"],
        on_readable: Callable[[Batch], None],
    ) -> None:
        """`run` starts a task; `on_readable` gets each batch that waited, once it can be decoded."""
        self._readable, self._run, self._on_readable = readable, run, on_readable
        self._waiting: dict[OwnedPartition, tuple[Batch, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, partition: OwnedPartition) -> bool:
        return partition in self._waiting

    def waits(self, batch: Batch) -> bool:
        """Whether a batch has to wait; if so it is handed back by itself."""
        known = None if self._readable is None else self._readable(batch.records)
        if known is None:
            return False
        task = self._run(self._wait(batch, known), f"_undecoded {batch.partition}")
        self._waiting[batch.partition] = batch, task
        return True

    def give_up(self, partition: OwnedPartition | None = None) -> list[Batch]:
        """Those of a partition, or of all, wait no longer, and are not handed back."""
        gone = [one for one in list(self._waiting) if partition in (None, one)]
        waited = [self._waiting.pop(one) for one in gone]
        for _, task in waited:
            task.cancel()
        return [batch for batch, _ in waited]

    async def _wait(self, batch: Batch, known: Awaitable[object]) -> None:
        await known
        del self._waiting[batch.partition]
        self._on_readable(batch)
