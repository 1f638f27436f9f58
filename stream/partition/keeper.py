"""Keeping right what compaction keeps of the changelog, where others write behind the owner of a partition.

A worker that was stopped past its time in the group may still send rows that it had queued. They are older than the
owner's, but stand behind them. Recovery skips them by their source offset; compaction goes by the place, and would keep
the old row and delete the right one. So the owner writes its own again:

    after a recovery    where a session's newest row was skipped as older
    while it owns       once a second it looks whether the changelog holds rows that are not its own, whose offsets the
                        broker would have confirmed to it. What is between or behind its own is read, as in a recovery

With transactions none of this can happen: the broker refuses the zombie's rows.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaException
from faust.types import TP

from stream.errors import PublishFailed
from stream.guarantee.publisher import Outgoing, Receipt
from stream.partition.erased import mark_headers
from stream.partition.owned import OwnedPartition
from stream.partition.positions import split_positions
from stream.partition.reading import Partition
from stream.partition.recovery import Row, restore_rows

__all__ = ["ChangelogKeeper", "Recovery", "take_rows"]

log = logging.getLogger(__name__)

_LOOK_S = 1.0  # between two looks at the end of the changelog
_AT_ONCE = 500  # rows written again in one go


class Recovery(Protocol):
    """`stream.faust.tables.LeanRecovery`."""

    active_offsets: Any  # by partition, the offset up to which the table has the changelog

    def advance(self, changelog: Any, offset: int) -> None: ...
    def forget(self, number: int) -> None: ...


class _Publisher(Protocol):
    async def publish(self, partition: Partition, messages: Sequence[Outgoing]) -> "asyncio.Future[Receipt]": ...


class _Reader(Protocol):
    """`stream.partition.changelog.ChangelogReader`."""

    def ends(self, partitions: Sequence[int]) -> dict[int, int]: ...
    def read(self, partition: int, begin: int, end: int) -> list[Row]: ...


class ChangelogKeeper:
    """Lives on the event loop. `owned` gives the partitions whose state is recovered and that are being read,
    `may_publish` whether the group counts us as a member. What is stale, or behind, is noted at the partitions."""

    def __init__(
        self,
        topic: str,
        recovery: Recovery,
        *,
        owned: Callable[[], Sequence[OwnedPartition]],
        may_publish: Callable[[], Awaitable[bool]],
        found: Callable[[OwnedPartition, Sequence[Row]], None],
    ) -> None:
        """`found` hears of rows that were taken over while the partition was ours."""
        self._topic, self._recovery = topic, recovery
        self._owned, self._may_publish, self._found = owned, may_publish, found

    def restore(self, partition: OwnedPartition, rows: Sequence[Row], last_offset: int) -> None:
        """Take over the next rows of a partition, up to `last_offset`."""
        take_rows(TP(self._topic, partition.number), self._recovery, partition, rows, last_offset)

    def confirmed(self, partition: OwnedPartition, receipt: Receipt) -> None:
        """Rows of ours are in the changelog. Where rows of others stand before or between them, those are to be read:
        the state has the changelog only up to there."""
        whole = receipt.tracked_offset - receipt.first_tracked + 1 == receipt.tracked
        known = self._known(partition)
        if receipt.tracked and whole and (known is None or receipt.first_tracked <= known + 1):
            self._recovery.advance(TP(self._topic, partition.number), receipt.tracked_offset)

    async def keep(self, publisher: _Publisher, reader: _Reader) -> None:
        """Look and write again, for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self.look(reader)
                await self.write_again(publisher)
            except (KafkaException, PublishFailed) as error:
                log.debug("the changelog is looked after later: %s", error)

    async def look(self, reader: _Reader) -> None:
        """Read the rows of others. Rows that nobody confirmed to us since the last look are such, or as good as."""
        known = {one: offset for one in self._owned() if (offset := self._known(one)) is not None}
        ends = await asyncio.to_thread(reader.ends, [one.number for one in known])
        for partition, offset in known.items():
            end, seen = ends[partition.number], partition.behind
            partition.behind = offset if end > offset + 1 else None
            if partition.behind is not None and seen == offset:
                await self._read(reader, partition, offset, end)

    async def write_again(self, publisher: _Publisher) -> None:
        """Write the stale rows of the partitions that are ours. PublishFailed leaves the rest for later."""
        for partition in self._owned():
            stale = partition.stale  # the set of this ownership: a later one has another
            while stale and await self._may_publish():
                await self._write(publisher, partition, stale)

    async def _read(self, reader: _Reader, partition: OwnedPartition, offset: int, end: int) -> None:
        rows, _ = split_positions(await asyncio.to_thread(reader.read, partition.number, offset + 1, end))
        if partition in self._owned() and self._known(partition) == offset:
            self.restore(partition, rows, end - 1)
            self._found(partition, rows)

    async def _write(self, publisher: _Publisher, partition: OwnedPartition, stale: set[bytes]) -> None:
        """Write some rows; those that were not overtaken meanwhile are stale no more."""
        rows: dict[bytes, bytes | None] = {}
        messages: list[Outgoing] = []
        for key in list(stale)[:_AT_ONCE]:
            row, mark = partition.rows.get(key), partition.erased.get(key)
            if row is None and mark is None:
                stale.discard(key)
                continue
            rows[key] = row
            headers = mark_headers(mark) if row is None and mark is not None else None
            messages.append(Outgoing(self._topic, key, row, headers, partition.number, True))
        if not rows:
            return
        self.confirmed(partition, await (await publisher.publish((self._topic, partition.number), messages)))
        stale.difference_update(key for key, row in rows.items() if partition.rows.get(key) in (row, None))
        log.warning("%d rows of %s-%d stood behind ours and were older", len(rows), self._topic, partition.number)

    def _known(self, partition: OwnedPartition) -> int | None:
        offset: int | None = self._recovery.active_offsets.get(TP(self._topic, partition.number))
        return offset


def take_rows(
    changelog: TP, recovery: Recovery, partition: OwnedPartition, rows: Sequence[Row], last_offset: int
) -> None:
    """Take over the next rows of a partition's changelog, up to `last_offset`."""
    skipped = restore_rows(partition.rows, rows, partition.stale, partition.erased)
    if skipped:
        log.info("%d rows of %s-%d were older than the ones at hand", skipped, *changelog)
    recovery.advance(changelog, last_offset)
