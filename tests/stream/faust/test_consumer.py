"""The consumer of the seams, on a thread that has what it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from stream.config import StreamConfig
from stream.faust.app import build_app
from stream.faust.thread import note_kafka_errors
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Partition
from stream.path.batcher import Batcher
from tests.stream.records import FakeRecord


class FakeIntake:
    """A worker without a pipeline."""

    def __init__(self) -> None:
        self.partitions, self.batcher = Partitions("clicks"), Batcher(max_batch=10, max_queued=100)
        self.commit_s, self.drain_s, self.fetched_at = 1.0, 0.1, 0.0
        self.restored: list[int] = []
        self.positions: dict[tuple[str, int], int] = {}
        self.is_drained = True
        self.is_settled = True
        self.ends: Mapping[int, int] = {}

    def assigned(self, numbers: Collection[int]) -> None: ...

    async def take_over(self, numbers: Sequence[int]) -> None: ...

    async def settle(self, numbers: Sequence[int], ends: Callable[[], Awaitable[Mapping[int, int]]]) -> bool:
        self.ends = await ends()
        return self.is_settled

    def moved(self, partition: Partition, begin: int, end: int) -> None: ...

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        return partition.answered or committed

    def give_up_all(self) -> None:
        self.partitions.give_up_all()
        self.batcher.clear()

    async def drained(self, timeout_s: float) -> bool:
        return self.is_drained

    def restore(self, partition: tuple[str, int], records: Any) -> None:
        self.restored += [record.offset for record in records]

    def restored_to(self, partition: tuple[str, int], position: int) -> None:
        self.positions[partition] = position

    def crash(self, error: BaseException) -> None:
        raise error


class FakeThread:
    """A consumer thread that has what it is told."""

    def __init__(self) -> None:
        self.fetches: list[tuple[dict[Any, list[FakeRecord]], dict[Any, int], int]] = []
        self.commits: list[dict[Any, int]] = []
        self.error: Exception | None = None
        self.seeks: list[dict[Any, int]] = []
        self.waits: list[float] = []
        self.epochs: list[int] = []  # of the seeks
        self.on_committed: Callable[[], object] = lambda: None
        self.long_poll_ms = 0

    async def fetch(self, active: Any, wait_s: float) -> Any:
        self.waits.append(wait_s)
        return self.fetches.pop(0)

    async def commit_offsets(self, offsets: dict[Any, int]) -> None:
        if self.error is not None:
            raise self.error
        self.commits.append(offsets)

    async def committed(self, partitions: Any) -> dict[Any, int | None]:
        self.on_committed()
        return {tuple(partition): None if partition[1] else 7 for partition in partitions}

    async def highwaters(self, *partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, 50)

    async def earliest_offsets(self, *partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, 3)

    async def seek_in(self, epoch: int, partitions: dict[Any, int]) -> None:
        self.epochs.append(epoch)
        self.seeks.append(partitions)

    def poll_at_most(self, wait_ms: int) -> None:
        self.long_poll_ms = wait_ms


def with_consumer(check: Any) -> None:
    async def run() -> None:
        intake = FakeIntake()
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), lambda: intake)
        consumer = app.consumer
        consumer._thread = FakeThread()
        await check(consumer, consumer._thread, intake)

    asyncio.run(run())


def tp(number: int, topic: str = "clicks") -> Any:
    return TP(topic, number)


def test_drain_sorts_clicks_and_changelog_records_and_drops_stale_ones() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer._active_partitions = {tp(0), tp(0, "log")}
        intake.partitions.of(("clicks", 0)).expect(5, serial=2, epoch=0)
        intake.partitions.of(("log", 0)).expect(0, serial=1, epoch=0)
        fetched = {tp(0): [FakeRecord(5), FakeRecord(6)], tp(0, "log"): [FakeRecord(0)]}
        thread.fetches = [(fetched, {}, 1), (fetched, {}, 2)]
        await consumer._drain_once(intake)
        assert (intake.batcher.queued, intake.restored) == (0, [0])
        await consumer._drain_once(intake)
        assert intake.batcher.queued == 2

    with_consumer(check)


def test_drain_passes_what_brings_no_record_unless_a_seek_came_since() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer._active_partitions = {tp(0, "log")}
        intake.partitions.of(("log", 0)).expect(0, serial=2, epoch=0)
        thread.fetches = [({}, {tp(0, "log"): 9}, 1), ({tp(0, "log"): [FakeRecord(3)]}, {tp(0, "log"): 5}, 2)]
        await consumer._drain_once(intake)
        assert intake.positions == {}
        await consumer._drain_once(intake)
        assert (intake.restored, intake.positions) == ([3], {("log", 0): 5})

    with_consumer(check)


def test_drain_waits_less_for_changelogs_than_for_clicks() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        thread.fetches = [({}, {}, 1), ({}, {}, 1)]
        for active in ({tp(0, "log")}, {tp(0, "log"), tp(0)}):
            consumer._active_partitions = active
            await consumer._drain_once(intake)
        assert thread.waits[0] < thread.waits[1]

    with_consumer(check)


def test_perform_seek_goes_to_the_beginning_where_nothing_was_committed() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0), tp(1), tp(0, "log")}
        await consumer.perform_seek()
        assert thread.seeks == [{("clicks", 0): 7, ("clicks", 1): 3}]
        assert thread.long_poll_ms == 250, "the short polls of the recovery are over"

    with_consumer(check)


def test_perform_seek_goes_where_the_worker_says_or_to_the_beginning() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0), tp(1), tp(2)}
        intake.partitions.clicks(0).recovered(6)
        intake.partitions.clicks(1).recovered(9)
        await consumer.perform_seek()
        assert thread.seeks == [{("clicks", 0): 6, ("clicks", 1): 9, ("clicks", 2): 3}]

    with_consumer(check)


def test_perform_seek_reads_nothing_of_partitions_whose_state_is_of_other_clicks() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0), tp(1), tp(0, "log")}
        intake.is_settled = False
        await consumer.perform_seek()
        assert thread.seeks == []
        assert intake.ends == {0: 50, 1: 50}

    with_consumer(check)


def test_rewind_seeks_the_partitions_that_were_given_up_and_no_others() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0), tp(1), tp(0, "log")}
        consumer.app.rebalancing = False
        for number in (0, 1):
            intake.partitions.of(("clicks", number)).expect(3, serial=1, epoch=0)
            intake.partitions.clicks(number).confirm(20, epoch=0)
        intake.partitions.give_up(intake.partitions.clicks(0))
        rewinding = asyncio.create_task(consumer.rewind())
        while not thread.seeks:
            await asyncio.sleep(0.01)
        assert thread.seeks == [{("clicks", 0): 20}]
        intake.partitions.of(("clicks", 0)).expect(20, serial=2, epoch=intake.partitions.epoch)
        await asyncio.wait_for(rewinding, 5)

    with_consumer(check)


def test_rewind_leaves_partitions_alone_that_are_held_and_reads_them_once_they_are_not() -> None:
    """Their states are of other clicks, or it is not known yet. Whoever settles that seeks in those of its epoch only:
    one that was given up meanwhile, as a batch of it failed, would be read by nobody."""

    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0)}
        consumer.app.rebalancing = False
        intake.partitions.clicks(0)
        intake.partitions.hold()
        rewinding = asyncio.create_task(consumer.rewind())
        await asyncio.sleep(0.3)
        assert thread.seeks == []
        intake.partitions.release([0])
        while not thread.seeks:
            await asyncio.sleep(0.01)
        assert thread.seeks == [{("clicks", 0): 7}]
        intake.partitions.clicks(0).expect(7, serial=1, epoch=0)
        await asyncio.wait_for(rewinding, 5)

    with_consumer(check)


def test_perform_seek_tells_the_group_where_a_reset_partition_begins() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0), tp(1)}
        intake.partitions.clicks(1).is_reset = True
        await consumer.perform_seek()
        assert thread.commits == [{("clicks", 1): 3}], "or the next owner takes the old one for one of these"
        assert not intake.partitions.clicks(1).is_reset

    with_consumer(check)


def test_a_seek_for_partitions_given_up_meanwhile_is_not_made() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        sought: list[tuple[Any, int]] = []

        class Reader:
            _subscription = SimpleNamespace(subscription=None)

            def seek(self, partition: Any, offset: int) -> None:
                sought.append((partition, offset))

            async def position(self, partition: Any) -> int:
                return 0

        lean = consumer._new_consumer_thread()
        lean._consumer = Reader()
        epoch = intake.partitions.epoch
        intake.partitions.give_up(intake.partitions.clicks(0))
        await lean._seek_and_expect({("clicks", 0): 5, ("clicks", 1): 6}, epoch)
        assert sought == [(("clicks", 1), 6)]
        assert [one.key for one in intake.partitions.reading()] == [("clicks", 1)]

    with_consumer(check)


def test_seek_overtaken_by_a_rebalance_is_of_the_epoch_in_which_it_began() -> None:
    """Else partitions of the time before would count as ours, beside those that the rebalance gave us."""

    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0)}
        thread.on_committed = intake.partitions.give_up_all
        await consumer.perform_seek()
        assert thread.epochs == [0]

    with_consumer(check)


def test_commit_sends_confirmed_offsets_of_owned_partitions_once() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0)}
        intake.partitions.clicks(0).confirm(4, epoch=0)
        intake.partitions.clicks(1).confirm(9, epoch=0)
        assert await consumer.commit()
        assert not await consumer.commit()
        assert thread.commits == [{("clicks", 0): 4}]

    with_consumer(check)


def test_commit_that_fails_is_tried_again() -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0)}
        intake.partitions.clicks(0).confirm(4, epoch=0)
        thread.error = KafkaConnectionError()
        assert not await consumer.commit()
        thread.error = None
        assert await consumer.commit()

    with_consumer(check)


@pytest.mark.parametrize("drained", [True, False])
def test_wait_empty_commits_what_is_confirmed_and_ends_the_epoch(drained: bool) -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0)}
        intake.is_drained = drained
        intake.partitions.clicks(0).confirm(4, epoch=0)
        intake.batcher.put(intake.partitions.clicks(0), [FakeRecord(4)])
        await consumer.wait_empty()
        assert thread.commits == [{("clicks", 0): 4}]
        assert (intake.batcher.queued, intake.partitions.epoch, consumer.closing) == (0, 1, False)

    with_consumer(check)


def test_recovery_end_is_reached_by_offsets_alone() -> None:
    async def run() -> None:
        intake = FakeIntake()
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), lambda: intake)
        recovery = app.tables.recovery
        log = tp(0, "log")
        recovery.active_tps.add(log)
        recovery.active_highwaters[log], recovery.active_offsets[log] = 5, 2
        waiting = asyncio.create_task(recovery.signal_recovery_end.wait())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        recovery.advance(log, 5)
        await asyncio.wait_for(waiting, 1)
        recovery.advance(log, 3)
        recovery.advance(tp(9, "log"), 3)
        assert dict(recovery.active_offsets) == {log: 5}
        recovery.forget(0)
        assert dict(recovery.active_offsets) == {log: None}

    asyncio.run(run())


class FakeAIOKafka:
    """A consumer of aiokafka that is stopped while a fetch waits to be tried again."""

    def __init__(self) -> None:
        self._client = self
        self.closed = False

    async def stop(self) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        self.closed = True


def test_thread_stopped_while_a_fetch_waits_to_be_tried_again_ends_orderly() -> None:
    async def check(consumer: Any, _thread: FakeThread, intake: FakeIntake) -> None:
        thread, client = consumer._new_consumer_thread(), FakeAIOKafka()
        thread._consumer = client
        await thread.on_thread_stop()
        assert client.closed

    with_consumer(check)


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), ValueError("ours")])
def test_errors_of_requests_that_nobody_waits_for_are_quiet_only_if_they_are_kafkas(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    with caplog.at_level("INFO"):
        note_kafka_errors(loop, {"message": "Task exception was never retrieved", "exception": error})
    loop.close()
    assert [record.exc_info is None for record in caplog.records] == [isinstance(error, KafkaConnectionError)]


def with_recovery(check: Any) -> None:
    async def run() -> None:
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), FakeIntake)
        await check(app.tables.recovery)

    asyncio.run(run())


@pytest.mark.parametrize("error", [None, KafkaConnectionError("away"), TimeoutError()])
def test_recovery_step_that_the_broker_fails_begins_the_recovery_anew(error: Exception | None) -> None:
    """None: it never answers. Before, the worker ended with a traceback, however short the outage was."""

    async def check(recovery: Any) -> None:
        async def step() -> None:
            if error is not None:
                raise error
            await asyncio.sleep(1000)

        with pytest.raises(RebalanceAgain):
            await asyncio.wait_for(recovery._wait(step(), timeout=0.05), 10)
        assert recovery.signal_recovery_start.is_set(), "the recovery's loop goes round"
        assert "could not be recovered" in recovery.trouble

    with_recovery(check)


@pytest.mark.parametrize("error", [ValueError("ours"), TopicAuthorizationFailedError()])
def test_recovery_step_that_fails_for_good_ends_the_worker(error: Exception) -> None:
    async def check(recovery: Any) -> None:
        async def step() -> None:
            raise error

        with pytest.raises(type(error)):
            await recovery._wait(step(), timeout=5)
        assert not recovery.signal_recovery_start.is_set()

    with_recovery(check)


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), TopicAuthorizationFailedError("no"), TimeoutError()])
def test_step_of_a_recovery_that_another_has_overtaken_fails_nobody(error: Exception) -> None:
    async def check(recovery: Any) -> None:
        async def fail() -> None:
            recovery.signal_recovery_start.set()
            raise error

        with pytest.raises(RebalanceAgain):
            await recovery._wait(fail())

    with_recovery(check)


def test_recovery_step_that_fails_as_the_worker_stops_begins_nothing_anew() -> None:
    async def check(recovery: Any) -> None:
        async def step() -> None:
            recovery.signal_recovery_start.set()
            recovery._stopped.set()
            raise KafkaConnectionError("away")

        with pytest.raises(KafkaConnectionError):
            await recovery._wait(step(), timeout=5)

    with_recovery(check)


def test_recovery_that_begins_anew_leaves_no_seek_of_the_last_one_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.faust.tables._AGAIN_S", 0.0)

    async def check(consumer: Any, _thread: FakeThread, intake: FakeIntake) -> None:
        recovery, epoch = consumer.app.tables.recovery, intake.partitions.epoch
        with pytest.raises(RebalanceAgain):
            await recovery._wait(asyncio.sleep(60), timeout=0.01)
        assert intake.partitions.epoch > epoch, "a seek of the old epoch is not made"
        assert recovery.signal_recovery_start.is_set()

    with_consumer(check)


def test_changelog_that_ends_before_what_was_recovered_is_no_fault_of_the_recovery() -> None:
    """It was made again, and the lookout is about to say so with what to do; Faust's own check would crash the worker
    first, with advice about a database that there is not."""

    async def check(consumer: Any, _thread: FakeThread, intake: FakeIntake) -> None:
        assert not consumer.app.conf.recovery_consistency_check
        recovery, log = consumer.app.tables.recovery, tp(0, "log")
        recovery.active_tps.add(log)
        recovery.active_highwaters[log], recovery.active_offsets[log] = -1, 6
        assert not recovery.need_recovery()

    with_consumer(check)
