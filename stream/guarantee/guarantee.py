"""What a guarantee is: the publisher, where reading starts and what is written of it, and what follows a failed batch.

    at least once   stream.guarantee.at_least_once
    exactly once    stream.guarantee.exactly_once

`stream.guarantee.choose` makes the one of the configuration; nothing else in the worker asks which it is.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from stream.errors import PublishFailed
from stream.guarantee.publisher import Publisher, Receipt
from stream.partition.keeper import Recovery
from stream.partition.owned import OwnedPartition
from stream.partition.reading import Record

__all__ = ["Group", "Guarantee"]


class Group(Protocol):
    """What a guarantee needs of the group and of Faust; `stream.partition.membership.Membership` is one."""

    @property
    def recovery(self) -> Recovery: ...
    @property
    def consumer(self) -> Any: ...  # `stream.faust.consumer.LeanConsumer`
    @property
    def may_publish(self) -> Callable[[], Awaitable[bool]]: ...
    def recovered(self) -> list[OwnedPartition]:
        """The partitions that are ours with their state."""


class Guarantee(Protocol):
    """Lives on the event loop."""

    publisher: Publisher
    again: str  # what the worker does after a batch that was not confirmed, for the log
    trouble: str | None  # what is being made good, for /health
    in_rounds: bool  # whether the batches of a partition are shown one after another (`stream.path.starts`)

    async def take_over(self, partitions: Sequence[OwnedPartition]) -> None:
        """Before the state of these partitions is recovered: from now on nobody else changes it, as far as this
        guarantee goes."""

    def restore(self, partition: OwnedPartition, records: Sequence[Record]) -> Sequence[Record]:
        """Changelog records of a partition that is being recovered, in order; those of sessions."""

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        """Where reading starts, given the group's offset; None where nobody knows."""

    def with_position(
        self, partition: OwnedPartition, rows: Sequence[tuple[bytes, bytes]], next_offset: int
    ) -> list[tuple[bytes, bytes | None]]:
        """The rows of a batch, and what is written with them of how far the partition is answered."""

    def confirmed(self, partition: OwnedPartition, receipt: Receipt) -> None:
        """Rows of ours are in the changelog."""

    def failed(self, error: PublishFailed) -> None:
        """A batch was not confirmed, and `repair` comes."""

    async def repair(self) -> None:
        """Have the clicks of partitions that were given up read again, from what is certain."""

    async def keep_changelog(self) -> None:
        """Look after the changelog as long as the worker lives; returns where nothing is to be done."""
