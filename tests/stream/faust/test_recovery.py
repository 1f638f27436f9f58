"""The recovery of the seams: its end, and its steps that fail."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from faust.tables.recovery import RebalanceAgain

from stream.config import StreamConfig
from stream.faust.app import build_app
from tests.stream.faust.fakes import FakeIntake, FakeThread, tp, with_consumer


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


def with_recovery(check: Any) -> None:
    async def run() -> None:
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), FakeIntake)
        await check(app.tables.recovery)

    asyncio.run(run())


@pytest.mark.waits
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
