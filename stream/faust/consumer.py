"""The consumer: raw record lists a partition instead of one task a message, with positions that are checked."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import Consumer, Transport

from stream.faust.thread import LeanThread
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Partition, Record
from stream.path.batcher import Batcher

__all__ = ["Intake", "LeanConsumer", "LeanTransport"]

log = logging.getLogger(__name__)

_FETCH_S = 0.25  # a fetch waits this long for records, then looks whether the assignment has changed
_RECOVERY_FETCH_S = 0.02  # the same while changelogs are read: what ends in a transaction marker brings no record
_IDLE_S = 0.01  # while no partition is active


class Intake(Protocol):
    """What the consumer needs of the worker; `LeanApp.intake`."""

    partitions: Partitions
    batcher: Batcher
    commit_s: float
    drain_s: float  # how long a rebalance waits for batches in flight
    fetched_at: float  # time.monotonic() of the fetch loop's last turn

    def fetch_at(self, responded: float) -> float: ...  # after a response that came then; in the consumer's thread
    async def drained(self, timeout_s: float) -> bool: ...
    def assigned(self, numbers: Collection[int]) -> None: ...
    async def take_over(self, numbers: Sequence[int]) -> None: ...
    def give_up_all(self) -> None: ...
    async def settle(self, numbers: Sequence[int], ends: Callable[[], Awaitable[Mapping[int, int]]]) -> bool: ...
    def moved(self, partition: Partition, begin: int, end: int) -> None: ...
    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None: ...
    def restore(self, partition: Partition, records: Sequence[Record]) -> None: ...
    def restored_to(self, partition: Partition, position: int) -> None: ...
    def crash(self, error: BaseException) -> None: ...


class LeanConsumer(Consumer):
    """Faust's consumer, with its fetch loop, seek, commit and wait for the batches in flight replaced."""

    _thread: LeanThread
    closing = False  # a rebalance or the end waits for the batches in flight

    @property
    def intake(self) -> Intake:
        intake: Intake = self.app.intake
        return intake

    def _new_consumer_thread(self) -> LeanThread:
        return LeanThread(self, loop=self.loop, beacon=self.beacon)

    def refusal(self) -> BaseException | None:
        """Why the group refuses this worker for good; None as long as it does not."""
        return self._thread.refusal()

    def lease(self, lasts_s: float) -> bool:
        """Whether the group has heard of us within `lasts_s`: if not, another worker may own our partitions."""
        return time.monotonic() - self._thread.heartbeat_at < lasts_s

    @property
    def heard_at(self) -> float:
        """When the group last answered, by time.monotonic()."""
        return self._thread.heartbeat_at

    async def _drain_messages(self, fetcher: Any) -> None:
        """Seam: Faust makes two tasks a message here, and throws records away by generation and by flow state.

        Changelog records go into the state at once, clicks into the batcher; the partitions say which of them count.
        """
        intake = self.intake
        try:
            while not (self.should_stop or fetcher.should_stop):
                intake.fetched_at = time.monotonic()
                await self._drain_once(intake)
        except self.consumer_stopped_errors as error:
            if not self.app.should_stop:
                intake.crash(error)
        except asyncio.CancelledError:
            return  # the fetcher stops; during a rebalance it would take this for a crash, and trip over it
        except BaseException as error:
            intake.crash(error)

    async def _drain_once(self, intake: Intake) -> None:
        active = self._get_active_partitions()
        if not self.flow_active or not active:
            await asyncio.sleep(_IDLE_S)
            return
        if intake.batcher.full:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(intake.batcher.room(), _FETCH_S)
            return
        clicks_topic = intake.partitions.clicks_topic
        recovering = all(tp.topic != clicks_topic for tp in active)
        records, positions, serial = await self._thread.fetch(active, _RECOVERY_FETCH_S if recovering else _FETCH_S)
        for tp, fetched in records.items():
            partition = intake.partitions.of(tuple(tp))
            accepted = partition.accept(fetched, serial=serial)
            if isinstance(partition, OwnedPartition):
                intake.batcher.put(partition, accepted)
            elif accepted:
                intake.restore(tuple(tp), accepted)
        for tp, position in positions.items():
            partition = intake.partitions.of(tuple(tp))
            if partition.passed(position, serial=serial) and tp.topic != clicks_topic:
                intake.restored_to(tuple(tp), position)

    def _clicks(self) -> list[Any]:
        """The clicks' partitions that the group has given us."""
        return [tp for tp in self.assignment() if tp.topic == self.intake.partitions.clicks_topic]

    async def perform_seek(self) -> None:
        """Seam: Faust's leaves partitions without a committed offset where they are, past records already dropped."""
        clicks, epoch = self._clicks(), self.intake.partitions.epoch  # a rebalance may come meanwhile
        if await self.intake.settle([tp.partition for tp in clicks], partial(self._ends, clicks)):
            await self._seek_clicks(clicks, epoch)
        self._thread.poll_at_most(self.app.fetch_max_wait_ms)  # the recovery is over

    async def _ends(self, partitions: Sequence[Any]) -> dict[int, int]:
        """The offsets behind the last records, those of open transactions among them."""
        ends = await self._thread.highwaters(*partitions) if partitions else {}
        return {tp[1]: end for tp, end in ends.items()}

    async def _seek_clicks(self, partitions: Sequence[Any], epoch: int) -> None:
        """To where the answers end; to the beginning where nobody knows."""
        if not partitions:
            return
        committed = await self._thread.committed(partitions)
        clicks = self.intake.partitions.clicks
        found = {tp: self.intake.start_of(clicks(tp[1]), offset) for tp, offset in committed.items()}
        start = {tp: offset for tp, offset in found.items() if offset is not None}
        fresh = [TopicPartition(*tp) for tp, offset in found.items() if offset is None]
        if fresh:
            earliest = await self._thread.earliest_offsets(*fresh)
            start.update({(tp[0], tp[1]): offset or 0 for tp, offset in earliest.items()})
        for tp, offset in start.items():
            clicks(tp[1]).begin_anew(offset, epoch=epoch)
        if any(clicks(tp[1]).is_reset for tp in start):
            await self.commit()  # not with the next of the timer: who owns it by then would pass over clicks
        await self._thread.seek_in(epoch, start)

    async def rejoin(self) -> None:
        """Have the group assign all partitions anew: they are given up, taken over and recovered again."""
        await self._thread.rejoin()

    async def rewind(self) -> None:
        """Read on where the answers end in partitions that were given up; keeps trying. A rebalance does it anyway.
        Those that are held are waited for: whoever releases them seeks in those of its epoch only."""
        while not self.should_stop:
            await asyncio.sleep(0.1)
            if self.app.rebalancing:
                continue
            known = [(tp, self.intake.partitions.clicks(tp.partition)) for tp in self._clicks()]
            if all(clicks.is_expected for _, clicks in known):
                return
            lost = [tp for tp, clicks in known if not (clicks.is_expected or clicks.held)]
            if not lost:
                continue
            try:
                await self._seek_clicks(lost, self.intake.partitions.epoch)  # a rebalance may come meanwhile
            except (KafkaError, TimeoutError) as error:
                log.warning("the committed offsets cannot be read, trying again: %s", error)
                await asyncio.sleep(1.0)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Seam: commits what is confirmed. An error costs a replay, not the worker."""
        partitions = self.intake.partitions
        offsets, epoch = partitions.committable(), partitions.epoch
        owned = {tuple(tp) for tp in self.assignment()} if offsets else set()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in owned}
        if not offsets:
            return False
        try:
            await asyncio.wait_for(self._thread.commit_offsets(offsets), self.intake.commit_s)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets were not committed, as the group is rebalancing: %s", error)
            return False
        except (KafkaError, TimeoutError) as error:
            log.warning("offsets were not committed, trying again: %s", str(error) or "no answer in time")
            return False
        partitions.committed(offsets, epoch=epoch)
        return True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Seam: the same; Faust's looks for acknowledged messages, of which there are none."""
        return await self.commit(topics)

    async def wait_empty(self) -> None:
        """Seam: Faust waits for its own unacknowledged messages. Batches in flight end here, or count as never begun.

        Called when partitions are revoked and when the worker stops, also when its start failed.
        """
        intake = self.intake
        self.closing = True
        intake.partitions.hold()
        intake.batcher.clear()
        try:
            if not await intake.drained(intake.drain_s):
                log.warning("batches were still in flight after %.1f s; their clicks are read again", intake.drain_s)
            await self.commit()
        finally:
            intake.give_up_all()
            self.closing = False

    async def verify_all_partitions_active(self) -> None:
        """Seam: Faust's detector of livelocks looks at its streams; `stream.ops.watchdog` looks at ours."""


class LeanTransport(Transport):
    """Seam: the way to have a consumer class of one's own."""

    Consumer = LeanConsumer
