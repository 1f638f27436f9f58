"""The thread that owns the aiokafka consumer: fetches with their positions and seeks, heartbeats, offsets."""

import asyncio
import copy
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.threads import QueueServiceThread, WorkerThread

from stream.faust.pace import pace
from stream.faust.records import read_any_header_name
from stream.faust.resets import note_resets
from stream.partition.reading import Partition, Record

__all__ = ["Fetched", "LeanThread", "Outlived", "note_kafka_errors"]

log = logging.getLogger(__name__)

_RECOVERY_WAIT_MS = 10  # a broker's long poll during a recovery, whose steps stand in line behind it


class Fetched(NamedTuple):
    """Records by partition, where the reader stands behind them, and how many seeks were made before."""

    records: Mapping[Any, Sequence[Record]]
    positions: Mapping[Any, int]
    serial: int


def note_kafka_errors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What became of requests that nobody waits for any more, such as a commit whose time was up, in one line."""
    error = context.get("exception")
    if isinstance(error, KafkaError):
        log.info("%s: %s", context["message"], error)
    else:
        loop.default_exception_handler(context)


class _Daemon(WorkerThread):
    """Seam: Faust's threads hold their process up, however long a request of their own waits for a broker."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class Outlived(QueueServiceThread):
    """Seam: a thread whose end comes after the worker's, which gave up waiting and has said so, dies of the worker's
    loop, closed by then, with a traceback. This one ends."""

    abstract = True
    Worker = _Daemon

    async def _serve(self) -> None:
        try:
            await super()._serve()
        except RuntimeError:
            if not self.parent_loop.is_closed():
                raise
            log.info("the consumer's thread ended after the worker; nobody waited for it any more")
            await self._gather_remaining_tasks()


class LeanThread(Outlived, AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    serial = 0  # seeks made so far
    heartbeat_at = 0.0  # time.monotonic() of the last sign that the group counts us as a member

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Seam: Faust fixes the broker's long poll at 1.5 s; a position that was moved is fetched only after that. It
        reads what was not committed, unless its own transactions are used: they don't work, and ours are not its."""
        read_any_header_name()
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
        pace(self._ensure_consumer()._fetcher, lambda responded: float(self.app.intake.fetch_at(responded)))
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
        await self.seek_in(self.app.intake.partitions.epoch, partitions)

    async def seek_in(self, epoch: int, partitions: Mapping[Any, int]) -> None:
        """Seek, unless a partition was given up since `epoch`: then someone else seeks, and knows better where to."""
        await self.call_thread(self._seek_and_expect, dict(partitions), epoch)

    async def _seek_and_expect(self, partitions: Mapping[Any, int], epoch: int) -> None:
        consumer, of = self._ensure_consumer(), self.app.intake.partitions.of
        self.serial += 1
        current = [partition for partition in partitions if of(tuple(partition)).is_current(epoch)]
        sought = [TopicPartition(*partition) for partition in current if not of(tuple(partition)).held]
        for partition in sought:
            note_resets(consumer, partition, self._moved)
            consumer.seek(partition, partitions[partition])
            of(tuple(partition)).expect(partitions[partition], serial=self.serial, epoch=epoch)
        positions = [consumer.position(partition) for partition in sought]
        await asyncio.wait_for(asyncio.gather(*positions), timeout=self.app.conf.broker_request_timeout)

    def refusal(self) -> BaseException | None:
        """Why the group refuses this worker for good. Seam: aiokafka tells whoever fetches next, and before the group
        has given partitions nobody does."""
        coordinator = getattr(self._consumer, "_coordinator", None)
        task = getattr(coordinator, "_coordination_task", None)  # a consumer without a group has none
        if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
            ended: BaseException = task.exception()
            return ended
        pending: BaseException | None = getattr(coordinator, "_pending_exception", None)
        return pending

    def _moved(self, partition: Partition, begin: int, end: int) -> None:
        self.parent_loop.call_soon_threadsafe(self.app.intake.moved, partition, begin, end)

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
