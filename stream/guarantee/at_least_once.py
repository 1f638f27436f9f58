"""At least once: lists are never lost, and after a failure some come twice, marked by the same source offset.

position    the group's committed offset, which never runs ahead of what the broker has. A position row that an
            earlier exactly-once worker left is deleted with the first batch, as it would hold for ever
repair      a rewind: the clicks of the partition are read again from where the answers end
changelog   whoever lost a partition may still write. Recovery and the keeper know such rows by their source offset
"""

from collections.abc import Callable, Sequence

from stream.errors import PublishFailed
from stream.guarantee.guarantee import Group
from stream.guarantee.publisher import Publisher, Receipt
from stream.partition.changelog import ChangelogReader
from stream.partition.keeper import ChangelogKeeper
from stream.partition.owned import OwnedPartition
from stream.partition.positions import POSITION_KEY, split_positions
from stream.partition.reading import Record
from stream.partition.recovery import Row

__all__ = ["AtLeastOnce"]


class AtLeastOnce:
    """A `stream.guarantee.guarantee.Guarantee`."""

    again = "reads the clicks"
    trouble: str | None = None
    in_rounds = False  # its batches are shown as they are published

    def __init__(
        self,
        publisher: Publisher,
        changelog: str,
        group: Group,
        *,
        new_reader: Callable[[], ChangelogReader],
        found: Callable[[OwnedPartition, Sequence[Row]], None],
    ) -> None:
        """`new_reader` is called once the worker serves; `found` hears of rows of others that were taken over."""
        self.publisher, self._group, self._new_reader = publisher, group, new_reader
        self._keeper = ChangelogKeeper(
            changelog, group.recovery, owned=group.recovered, may_publish=group.may_publish, found=found
        )

    async def take_over(self, partitions: Sequence[OwnedPartition]) -> None:
        """The group's word must do."""

    def restore(self, partition: OwnedPartition, records: Sequence[Record]) -> Sequence[Record]:
        rows, position = split_positions(records)
        if position is not None:
            partition.old_position = position > 0
        self._keeper.restore(partition, rows, records[-1].offset)
        return rows

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        """At what is further of the group's offset and what we know: a commit may have failed after the answers."""
        if committed is None:
            return partition.answered or None
        return max(committed, partition.answered)

    def with_position(
        self, partition: OwnedPartition, rows: Sequence[tuple[bytes, bytes]], next_offset: int
    ) -> list[tuple[bytes, bytes | None]]:
        return [(POSITION_KEY, None), *rows] if partition.old_position else list(rows)

    def confirmed(self, partition: OwnedPartition, receipt: Receipt) -> None:
        partition.old_position = False  # its tombstone was among the rows
        self._keeper.confirmed(partition, receipt)

    def failed(self, error: PublishFailed) -> None:
        """Reading again is no trouble worth telling."""

    async def repair(self) -> None:
        await self._group.consumer.rewind()

    async def keep_changelog(self) -> None:
        await self._keeper.keep(self.publisher, self._new_reader())
