"""Exactly once: every list is published once, also over crashes and zombies.

position    a row of the changelog, in the transaction that holds the answers themselves: never behind, never ahead
repair      joining the group again: a transaction failed or is undecided, so each partition is taken over anew, and
            what was committed is read in the changelog
changelog   the broker refuses rows of whoever lost a partition: all rows behind ours are ours
"""

from collections.abc import Sequence

from faust.types import TP

from stream.errors import PublishFailed
from stream.guarantee.guarantee import Group
from stream.guarantee.publisher import Publisher, Receipt
from stream.partition.keeper import take_rows
from stream.partition.owned import OwnedPartition
from stream.partition.positions import POSITION_KEY, encode_position, split_positions
from stream.partition.reading import Record

__all__ = ["ExactlyOnce"]


class ExactlyOnce:
    """A `stream.guarantee.guarantee.Guarantee`."""

    again = "joins its group"
    in_rounds = True  # the next transactions take what comes during these

    def __init__(self, publisher: Publisher, changelog: str, group: Group) -> None:
        self.publisher, self._changelog, self._group = publisher, changelog, group
        self.trouble: str | None = None

    async def take_over(self, partitions: Sequence[OwnedPartition]) -> None:
        """Fences every other producer off. What was known of partitions with a new producer counts no more."""
        gained = set(await self.publisher.take_over([partition.key for partition in partitions]))
        self.trouble = None
        for partition in partitions:
            if partition.key in gained:
                partition.take_over()
                self._group.recovery.forget(partition.number)

    def restore(self, partition: OwnedPartition, records: Sequence[Record]) -> Sequence[Record]:
        rows, position = split_positions(records)
        if position is not None:
            partition.recovered(max(position, partition.answered) if position else 0)
        take_rows(self._tp(partition), self._group.recovery, partition, rows, records[-1].offset)
        return rows

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        """At the position, which is exact; the group's offset counts where there is none yet."""
        return partition.answered or committed

    def with_position(
        self, partition: OwnedPartition, rows: Sequence[tuple[bytes, bytes]], next_offset: int
    ) -> list[tuple[bytes, bytes | None]]:
        return [*rows, (POSITION_KEY, encode_position(next_offset))]

    def confirmed(self, partition: OwnedPartition, receipt: Receipt) -> None:
        if receipt.tracked_offset >= 0:
            self._group.recovery.advance(self._tp(partition), receipt.tracked_offset)

    def failed(self, error: PublishFailed) -> None:
        self.trouble = f"joining the group again: {error}"

    async def repair(self) -> None:
        await self._group.consumer.rejoin()

    async def keep_changelog(self) -> None:
        """Nobody else can write into it."""

    def _tp(self, partition: OwnedPartition) -> TP:
        return TP(self._changelog, partition.number)
