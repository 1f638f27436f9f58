"""The partitions of one worker: taken over with their state, read, given up. What the consumer needs of the worker.

assigned       the group assigns partitions: nothing that was begun counts any more; what is no longer ours is dropped
take_over      nobody else writes for them from now on, as far as the guarantee goes that far
restore        their changelog becomes the state, while they are not read yet
start_of       where reading the clicks begins
give_up_all    the group is about to assign them anew, or the worker ends
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

from stream.config import StreamConfig
from stream.errors import PublishFailed
from stream.guarantee.guarantee import Guarantee
from stream.guarantee.publisher import Outgoing
from stream.kafka.surroundings import Change
from stream.ops.lookout import Lookout
from stream.partition.expiry import Expiry
from stream.partition.membership import Membership
from stream.partition.origins import Origins
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Partition, Record
from stream.path.batcher import Batcher
from stream.path.pipeline import Pipeline

__all__ = ["Ownership"]

log = logging.getLogger(__name__)

_IDENTITY_S = 10.0  # for the first look at the topics


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
        lookout: Lookout,
        crash: Callable[[BaseException], None],
        on_settled: Callable[[OwnedPartition], None] = lambda _: None,
    ) -> None:
        """`crash` ends the worker; `on_settled` hears of each partition whose state is ours and recovered."""
        self._on_settled = on_settled
        self.partitions, self.batcher, self.crash = partitions, batcher, crash
        self.commit_s = max(config.delivery_timeout_s, 1.0)
        self.drain_s = config.delivery_timeout_s + 1.0
        self.fetched_at = time.monotonic()
        self.restored = 0  # of the changelog, in offsets; those recovered again for want of a confirmed batch left out
        self._doubtful = False  # a log was found to end before what was read of it
        self._examined: dict[OwnedPartition, int] = {}  # since when, in batches confirmed: once must do until the next
        self._lookout = lookout
        self._origins = Origins(
            config,
            identity=partial(asyncio.to_thread, lookout.clicks_identity, _IDENTITY_S),
            publish=self._write_rows,
            forgotten=lookout.forgotten,
            refuse=lambda error: lookout.report(Change(kind="state", topic=config.topics.clicks, error=error)),
        )
        self._membership, self._pipeline, self._guarantee, self._expiry = membership, pipeline, guarantee, expiry

    def fetch_at(self, responded: float) -> float:
        """When to ask for clicks again after a response that came then. May be called in any thread."""
        return self._pipeline.fetch_at(responded)

    # -- the group gives and takes --

    def assigned(self, numbers: Collection[int]) -> None:
        """These are ours now. Their state is, where it was here already; what is written to it since is recovered."""
        self.give_up_all()
        self.partitions.hold()
        for lost in self.partitions.assign(numbers):
            self._membership.recovery.forget(lost.number)
            self._examined.pop(lost, None)  # that was before another worker wrote states

    async def drained(self, timeout_s: float) -> bool:
        """Wait for the batches in flight."""
        return await self._pipeline.drained(timeout_s)

    async def take_over(self, numbers: Sequence[int]) -> None:
        """Before the state of these partitions is recovered: from now on nobody else changes it."""
        self._lookout.look_soon()  # the topics may be others since the last assignment
        if await self._membership.may_publish():
            await self._guarantee.take_over([self.partitions.clicks(number) for number in numbers])

    def give_up_all(self) -> None:
        """The partitions are being assigned anew: nothing that was begun counts any more."""
        self._pipeline.give_up_all()

    async def settle(self, numbers: Sequence[int], ends: Callable[[], Awaitable[Mapping[int, int]]]) -> bool:
        """The state of these partitions is recovered: whether their clicks may be read. If not, another assignment or
        the end follows."""
        since = self.partitions.all_since
        try:
            settled = await self._origins.settle([self.partitions.clicks(number) for number in numbers], ends)
        except PublishFailed as error:  # another worker took a partition over meanwhile, or the broker is away
            log.warning("states could not be reset, the worker joins its group again: %s", error)
            await self._membership.consumer.rejoin()
            return False
        if settled and since == self.partitions.all_since:  # else they are being assigned anew, and settled after that
            self.partitions.release(numbers)
            for number in numbers:
                self._on_settled(self.partitions.clicks(number))
        return settled

    def moved(self, key: Partition, begin: int, end: int) -> None:
        """The log did not hold `begin`, where a partition was to be read on, and is read from `end` on."""
        if key[0] != self.partitions.clicks_topic:
            return
        partition = self.partitions.clicks(key[1])
        if self._lookout.moved(key, begin, end):
            partition.skip(begin, end)
        elif self._examined.get(partition) == partition.finished or not (partition.rows or partition.answered):
            partition.is_reset = True  # nothing contradicts the clicks that are there, but for what the group was told
            if not partition.answered:  # it is told at once: a crash now, and some of later clicks were passed over
                partition.skip(begin, end)
        else:
            self._examined[partition] = partition.finished
            self.partitions.hold()
            self._doubtful = True

    async def clear(self) -> None:
        """The topics are as they were. Where a log was cut, what is recovered must be held against it."""
        if self._doubtful:
            self._doubtful = False
            await self._membership.consumer.rejoin()

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        """Where reading starts, given the group's offset."""
        if partition.is_reset:
            return partition.answered or None
        self._lookout.accounted(partition.key, committed or 0)
        return self._guarantee.start_of(partition, committed)

    # -- the changelog --

    def restore(self, changelog: Partition, records: Sequence[Record]) -> None:
        """Changelog records of a partition that is being recovered, in order."""
        if changelog not in self._membership.recovery.active_tps:
            return
        partition = self.partitions.clicks(changelog[1])
        self._origins.restored(partition, records)
        rows = self._guarantee.restore(partition, records)
        self._expiry.restored(partition, rows)
        self.restored += partition.restored(records[-1].offset + 1)

    def restored_to(self, changelog: Partition, position: int) -> None:
        """All changelog records below `position` were restored; the last of them may have been a transaction marker."""
        self._membership.recovery.advance(changelog, position - 1)

    async def _write_rows(self, partition: OwnedPartition, rows: Sequence[Outgoing]) -> None:
        """Rows of the changelog that belong to no batch."""
        old_position = partition.old_position
        receipt = await (await self._guarantee.publisher.publish(partition.key, rows))
        self._guarantee.confirmed(partition, receipt)
        partition.old_position = old_position  # which goes with the first batch
