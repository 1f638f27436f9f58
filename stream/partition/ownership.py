"""The partitions of one worker: taken over with their state, read, given up. What the consumer needs of the worker.

assigned       the group assigns partitions: nothing that was begun counts any more; what is no longer ours is dropped
take_over      nobody else writes for them from now on, as far as the guarantee goes that far
restore        their changelog becomes the state, while they are not read yet
start_of       where reading the clicks begins
give_up_all    the group is about to assign them anew, or the worker ends
"""

import time
from collections.abc import Callable, Collection, Sequence

from stream.config import StreamConfig
from stream.guarantee.guarantee import Guarantee
from stream.partition.expiry import Expiry
from stream.partition.membership import Membership
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Partition, Record
from stream.path.batcher import Batcher
from stream.path.pipeline import Pipeline

__all__ = ["Ownership"]


class Ownership:
    """Lives on the event loop; is the `Intake` of `stream.faust.consumer`."""

    def __init__(
        self,
        config: StreamConfig,
        membership: Membership,
        partitions: Partitions,
        batcher: Batcher,
        *,
        pipeline: Pipeline,
        guarantee: Guarantee,
        expiry: Expiry,
        crash: Callable[[BaseException], None],
    ) -> None:
        """`crash` ends the worker."""
        self.partitions, self.batcher, self.crash = partitions, batcher, crash
        self.commit_s = max(config.delivery_timeout_s, 1.0)
        self.drain_s = config.delivery_timeout_s + 1.0
        self.fetched_at = time.monotonic()
        self.restored = 0  # of the changelog, in offsets; those recovered again for want of a confirmed batch left out
        self._membership, self._pipeline, self._guarantee, self._expiry = membership, pipeline, guarantee, expiry

    # -- the group gives and takes --

    def assigned(self, numbers: Collection[int]) -> None:
        """These are ours now. Their state is, where it was here already; what is written to it since is recovered."""
        self.give_up_all()
        for lost in self.partitions.assign(numbers):
            self._membership.recovery.forget(lost.number)

    async def drained(self, timeout_s: float) -> bool:
        """Wait for the batches in flight."""
        return await self._pipeline.drained(timeout_s)

    async def take_over(self, numbers: Sequence[int]) -> None:
        """Before the state of these partitions is recovered: from now on nobody else changes it."""
        if await self._membership.may_publish():
            await self._guarantee.take_over([self.partitions.clicks(number) for number in numbers])

    def give_up_all(self) -> None:
        """The partitions are being assigned anew: nothing that was begun counts any more."""
        self._pipeline.give_up_all()

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        """Where reading starts, given the group's offset."""
        return self._guarantee.start_of(partition, committed)

    # -- the changelog --

    def restore(self, changelog: Partition, records: Sequence[Record]) -> None:
        """Changelog records of a partition that is being recovered, in order."""
        if changelog not in self._membership.recovery.active_tps:
            return
        partition = self.partitions.clicks(changelog[1])
        rows = self._guarantee.restore(partition, records)
        self._expiry.restored(partition, rows)
        self.restored += partition.restored(records[-1].offset + 1)

    def restored_to(self, changelog: Partition, position: int) -> None:
        """All changelog records below `position` were restored; the last of them may have been a transaction marker."""
        self._membership.recovery.advance(changelog, position - 1)
