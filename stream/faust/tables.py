"""The state table: raw bytes in Faust's in-memory store, brought back by the fetch loop."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from mode import Service

from stream.errors import TopicError

__all__ = ["LeanRecovery", "LeanTableManager", "TableStore"]

log = logging.getLogger(__name__)

_POLL_S = 0.01


class TableStore:
    """Rows of a Faust table by session id. Seam: a write through the table needs the event being processed, and would
    go out through Faust's producer; here the rows go out through ours, in order, and only their place is the table."""

    def __init__(self, table: Any) -> None:
        self._rows: dict[bytes, bytes] = table.data.data
        self._partitions: dict[bytes, int] = table.data._key_partition  # by which Faust drops rows of lost partitions
        self.bytes = 0  # of keys and rows, without what Python adds to them

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes, partition: int) -> bytes | None:
        """The row, unless it came from another partition (whose offsets mean nothing in this one)."""
        row = self._rows.get(key)
        return row if row is not None and self._partitions.get(key) == partition else None

    def put(self, key: bytes, row: bytes, partition: int) -> None:
        before = self._rows.get(key)
        self.bytes += len(row) + len(key) if before is None else len(row) - len(before)
        self._rows[key] = row
        self._partitions[key] = partition

    def put_new(self, rows: Mapping[bytes, bytes], partition: int) -> bool:
        """Put many at once; False, and none of them, where one of the keys is there already."""
        if not self._rows.keys().isdisjoint(rows):
            return False
        self.bytes += sum(map(len, rows)) + sum(map(len, rows.values()))
        self._rows.update(rows)
        self._partitions.update(dict.fromkeys(rows, partition))
        return True

    def delete(self, key: bytes) -> None:
        row = self._rows.pop(key, None)
        if row is not None:
            self.bytes -= len(row) + len(key)
        self._partitions.pop(key, None)

    def drop(self, partitions: Collection[int]) -> None:
        """Forget all rows of some partitions."""
        for key in [key for key, partition in self._partitions.items() if partition in partitions]:
            self.delete(key)

    def recount(self) -> None:
        """Measure anew: Faust drops the rows of lost partitions by itself."""
        self.bytes = sum(map(len, self._rows)) + sum(map(len, self._rows.values()))


class _Recovered:
    """Stands in for Faust's event `signal_recovery_end`, which two tasks set and clear; this one asks the offsets."""

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery

    async def wait(self) -> bool:
        while self._recovery.need_recovery():
            await asyncio.sleep(_POLL_S)
        self._recovery._set_recovery_ended()
        return True


class LeanRecovery(Recovery):
    """Faust's order of recovery, fed by the fetch loop instead of a queue of events."""

    @property
    def signal_recovery_end(self) -> Any:
        """Seam: see _Recovered."""
        return _Recovered(self)

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Seam: nothing comes through the changelog queue; the fetch loop restores the rows itself, 25 times faster."""

    @Service.task
    async def _publish_stats(self) -> None:
        """Seam: Faust's progress report reads times that only its own loop writes."""

    async def _build_highwaters(self, consumer: Any, tps: Any, destination: Any, title: str) -> None:
        """Seam: a changelog's end is asked for once nobody but us can move it, where the guarantee goes that far."""
        await self.app.intake.take_over(sorted(tp.partition for tp in tps))
        await super()._build_highwaters(consumer, tps, destination, title)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Seam: where a step times out, Faust's ends the recovery task in silence, and the worker hangs for ever."""
        step = asyncio.ensure_future(coro)
        try:
            await super()._wait(step, timeout=timeout)
        except Exception:
            if not (step.done() or self.should_stop or self.signal_recovery_start.is_set()):
                step.cancel()
                raise TopicError("the state could not be recovered: the broker did not answer in time") from None
            raise

    def forget(self, number: int) -> None:
        """The table has nothing of this partition: its recovery starts at the beginning."""
        for changelog in self.active_tps:
            if changelog.partition == number:
                self.active_offsets[changelog] = None

    def advance(self, changelog: Any, offset: int) -> None:
        """The table has all up to `offset` of this partition: a later recovery starts behind it."""
        if changelog in self.active_tps:
            known = self.active_offsets[changelog]
            if known is None or offset > known:
                self.active_offsets[changelog] = offset


class LeanTableManager(TableManager):
    """Seam: the way to have a recovery class of one's own."""

    _recovery: LeanRecovery | None

    async def on_start(self) -> None:
        """Seam: Faust sleeps a second here, for tables that are declared late; ours is there from the beginning."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    @property
    def recovery(self) -> LeanRecovery:
        if self._recovery is None:
            self._recovery = LeanRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
