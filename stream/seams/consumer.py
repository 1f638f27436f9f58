"""The consumer: raw record lists a partition instead of one task a message, with positions that are checked."""

import asyncio
import contextlib
import copy
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from stream.batcher import Batcher
from stream.ledger import Ledger, Partition, Record
from stream.seams.pace import pace

__all__ = ["Fetched", "Intake", "LeanConsumer", "LeanThread", "LeanTransport", "note_kafka_errors"]

log = logging.getLogger(__name__)

_FETCH_S = 0.25  # a fetch waits this long for records, then looks whether the assignment has changed
_RECOVERY_FETCH_S = 0.02  # the same while changelogs are read: what ends in a transaction marker brings no record
_IDLE_S = 0.01  # while no partition is active
_RECOVERY_WAIT_MS = 10  # a broker's long poll during a recovery, whose steps stand in line behind it


class Fetched(NamedTuple):
    """Records by partition, where the reader stands behind them, and how many seeks were made before."""

    records: Mapping[Any, Sequence[Record]]
    positions: Mapping[Any, int]
    serial: int


class Intake(Protocol):
    """What the consumer needs of the worker; `LeanApp.intake`."""

    ledger: Ledger
    batcher: Batcher
    clicks_topic: str
    commit_s: float
    drain_s: float  # how long a rebalance waits for batches in flight
    fetched_at: float  # time.monotonic() of the fetch loop's last turn

    async def drained(self, timeout_s: float) -> bool: ...
    async def take_over(self, numbers: Sequence[int]) -> None: ...
    def give_up_all(self) -> None: ...
    def start_of(self, partition: Partition, committed: int | None) -> int | None: ...
    def restore(self, partition: Partition, records: Sequence[Record]) -> None: ...
    def restored_to(self, partition: Partition, position: int) -> None: ...
    def crash(self, error: BaseException) -> None: ...


def note_kafka_errors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What became of requests that nobody waits for any more, such as a commit whose time was up, in one line."""
    error = context.get("exception")
    if isinstance(error, KafkaError):
        log.info("%s: %s", context["message"], error)
    else:
        loop.default_exception_handler(context)


class LeanThread(AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    serial = 0  # seeks made so far
    heartbeat_at = 0.0  # time.monotonic() of the last sign that the group counts us as a member

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Seam: Faust fixes the broker's long poll at 1.5 s; a position that was moved is fetched only after that. It
        reads what was not committed, unless its own transactions are used: they don't work, and ours are not its."""
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self.app.fetch_max_wait_ms
        consumer._isolation_level = "read_committed"
        self.thread_loop.set_exception_handler(note_kafka_errors)
        return consumer

    async def on_thread_stop(self) -> None:
        """Seam: aiokafka's fetcher, closed while a fetch waits to be tried again, raises the cancellation of that
        fetch: the thread would die of it, and the worker's end wait for the thread in vain."""
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            await self._ensure_consumer()._client.close()

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Seam: joining the group is a sign of life; from here on each heartbeat is (see `lease`)."""
        coordinator = self._ensure_consumer()._coordinator
        if coordinator._do_heartbeat.__name__ != "heartbeat":
            coordinator._do_heartbeat = self._noting(coordinator._do_heartbeat)
        self.heartbeat_at = time.monotonic()
        pace(self._ensure_consumer()._fetcher)
        self.poll_at_most(min(_RECOVERY_WAIT_MS, self.app.fetch_max_wait_ms))
        await super().on_partitions_assigned(assigned, generation_id)

    def poll_at_most(self, wait_ms: int) -> None:
        """How long the broker holds a fetch without records. Seeks and look-ups of offsets stand in line behind it."""
        self._ensure_consumer()._fetcher._fetch_max_wait_ms = wait_ms

    def _noting(self, do_heartbeat: Any) -> Any:
        async def heartbeat() -> bool:
            sent = time.monotonic()
            alive = bool(await do_heartbeat())
            if alive:
                self.heartbeat_at = sent
            return alive

        return heartbeat

    async def seek_wait(self, partitions: Mapping[Any, int]) -> None:
        """Seam: Faust's seeks leave no trace by which records that were fetched before one can be told."""
        await self.seek_in(self.app.intake.ledger.epoch, partitions)

    async def seek_in(self, epoch: int, partitions: Mapping[Any, int]) -> None:
        """Seek, unless a partition was given up since `epoch`: then someone else seeks, and knows better where to."""
        await self.call_thread(self._seek_and_expect, dict(partitions), epoch)

    async def _seek_and_expect(self, partitions: Mapping[Any, int], epoch: int) -> None:
        consumer, ledger = self._ensure_consumer(), self.app.intake.ledger
        self.serial += 1
        sought = [TopicPartition(*partition) for partition in partitions if ledger.is_current(partition, epoch)]
        for partition in sought:
            consumer.seek(partition, partitions[partition])
            ledger.expect(partition, partitions[partition], serial=self.serial, epoch=epoch)
        positions = [consumer.position(partition) for partition in sought]
        await asyncio.wait_for(asyncio.gather(*positions), timeout=self.app.conf.broker_request_timeout)

    async def fetch(self, active: Collection[Any], wait_s: float) -> Fetched:
        """The next records of the `active` partitions; empty after `wait_s` without any."""
        result: Fetched = await self.call_thread(self._fetch_with_serial, set(active), wait_s)
        return result

    async def _fetch_with_serial(self, active: set[Any], wait_s: float) -> Fetched:
        consumer = self._ensure_consumer()
        records = await self._fetch_records(consumer, active, timeout=wait_s, max_records=consumer._max_poll_records)
        return Fetched(records, _positions(consumer, active), self.serial)  # no await since the records were taken

    def highwater(self, tp: Any) -> int | None:
        """Seam: the end up to which clicks can be read; behind it lies what a storefront has not committed yet."""
        stable: int | None = self._ensure_consumer().last_stable_offset(tp)
        return super().highwater(tp) if stable is None or stable < 0 else stable  # an old broker knows of none

    async def _highwaters(self, partitions: Any) -> Mapping[Any, int]:
        """Seam: the ends of changelogs with the records of open transactions. A reader of committed records gets there
        when all of them are decided, and only then the state is whole."""
        consumer = self._ensure_consumer()
        fetcher = copy.copy(consumer._fetcher)
        fetcher._isolation_level = READ_UNCOMMITTED
        ends: Mapping[Any, int] = await fetcher.end_offsets(partitions, consumer._request_timeout_ms)
        return ends

    async def rejoin(self) -> None:
        """Have the group assign all partitions anew, though nobody has come or gone."""
        await self.call_thread(self._rejoin)

    async def _rejoin(self) -> None:
        self._ensure_consumer()._coordinator.request_rejoin()

    async def committed(self, partitions: Iterable[Any]) -> dict[Partition, int | None]:
        """The committed offsets; None where there is none."""
        result: dict[Partition, int | None] = await self.call_thread(self._committed, list(partitions))
        return result

    async def _committed(self, partitions: list[Any]) -> dict[Partition, int | None]:
        consumer = self._ensure_consumer()
        return {tuple(tp): await consumer.committed(TopicPartition(*tp)) for tp in partitions}

    async def commit_offsets(self, offsets: Mapping[Partition, int]) -> None:
        """Commit, or raise aiokafka's error. Faust's own way crashes the worker on any of them."""
        wanted = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        await self.call_thread(self._ensure_consumer().commit, wanted)

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Seam: Faust warns of streams that do not commit; nothing passes through its streams here."""

    def verify_recovery_event_path(self, now: float, tp: Any) -> None:
        """Seam: as above, for the changelog."""


def _positions(consumer: Any, active: Collection[Any]) -> dict[Any, int]:
    """Where the consumer stands. Seam: aiokafka's `position` waits where there is none yet."""
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return {}
    states = {tp: assignment.state_value(tp) for tp in active if tp in assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}


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

    def lease(self, lasts_s: float) -> bool:
        """Whether the group has heard of us within `lasts_s`: if not, another worker may own our partitions."""
        return time.monotonic() - self._thread.heartbeat_at < lasts_s

    async def _drain_messages(self, fetcher: Any) -> None:
        """Seam: Faust makes two tasks a message here, and throws records away by generation and by flow state.

        Changelog records go into the state table at once, clicks into the batcher; the ledger says which of them count.
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
        recovering = all(tp.topic != intake.clicks_topic for tp in active)
        records, positions, serial = await self._thread.fetch(active, _RECOVERY_FETCH_S if recovering else _FETCH_S)
        for tp, fetched in records.items():
            accepted = intake.ledger.accept(tuple(tp), fetched, serial=serial)
            if tp.topic == intake.clicks_topic:
                intake.batcher.put(tuple(tp), accepted)
            elif accepted:
                intake.restore(tuple(tp), accepted)
        for tp, position in positions.items():
            if intake.ledger.passed(tuple(tp), position, serial=serial) and tp.topic != intake.clicks_topic:
                intake.restored_to(tuple(tp), position)

    async def perform_seek(self) -> None:
        """Seam: Faust's leaves partitions without a committed offset where they are, past records already dropped."""
        await self._seek_clicks([tp for tp in self.assignment() if tp.topic == self.intake.clicks_topic])
        self._thread.poll_at_most(self.app.fetch_max_wait_ms)  # the recovery is over

    async def _seek_clicks(self, partitions: Sequence[Any]) -> None:
        """To where the answers end; to the beginning where nobody knows."""
        if not partitions:
            return
        epoch = self.intake.ledger.epoch  # a rebalance may come while the offsets are asked for
        committed = await self._thread.committed(partitions)
        found = {tp: self.intake.start_of(tp, offset) for tp, offset in committed.items()}
        start = {tp: offset for tp, offset in found.items() if offset is not None}
        fresh = [TopicPartition(*tp) for tp, offset in found.items() if offset is None]
        if fresh:
            earliest = await self._thread.earliest_offsets(*fresh)
            start.update({(tp[0], tp[1]): offset or 0 for tp, offset in earliest.items()})
        await self._thread.seek_in(epoch, start)

    async def rejoin(self) -> None:
        """Have the group assign all partitions anew: they are given up, taken over and recovered again."""
        await self._thread.rejoin()

    async def rewind(self) -> None:
        """Read on where the answers end in partitions that were given up; keeps trying. A rebalance does it anyway."""
        while not self.should_stop:
            await asyncio.sleep(0.1)
            if self.app.rebalancing:
                continue
            clicks = [tp for tp in self.assignment() if tp.topic == self.intake.clicks_topic]
            lost = [tp for tp in clicks if not self.intake.ledger.is_expected(tuple(tp))]
            if not lost:
                return
            try:
                await self._seek_clicks(lost)
            except (KafkaError, TimeoutError) as error:
                log.warning("the committed offsets cannot be read, trying again: %s", error)
                await asyncio.sleep(1.0)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Seam: commits what the ledger has as confirmed. An error costs a replay, not the worker."""
        ledger = self.intake.ledger
        offsets, epoch = ledger.committable(), ledger.epoch
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
            log.warning("offsets were not committed, trying again: %s", error or "no answer in time")
            return False
        ledger.committed(offsets, epoch=epoch)
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
        intake.ledger.stop_reading()
        intake.batcher.clear()
        try:
            if not await intake.drained(intake.drain_s):
                log.warning("batches were still in flight after %.1f s; their clicks are read again", intake.drain_s)
            await self.commit()
        finally:
            intake.give_up_all()
            self.closing = False

    async def verify_all_partitions_active(self) -> None:
        """Seam: Faust's detector of livelocks looks at its streams; `stream.watchdog` looks at ours."""


class LeanTransport(Transport):
    """Seam: the way to have a consumer class of one's own."""

    Consumer = LeanConsumer
