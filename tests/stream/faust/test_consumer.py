"""The consumer of the seams, on a thread that has what it is told."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from tests.stream.faust.fakes import FakeIntake, FakeThread, tp, with_consumer
from tests.stream.records import FakeRecord


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


def test_commit_that_fails_is_said_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def check(consumer: Any, thread: FakeThread, intake: FakeIntake) -> None:
        consumer.assignment = lambda: {tp(0)}
        intake.partitions.clicks(0).confirm(4, epoch=0)
        thread.error = KafkaConnectionError()
        assert not await consumer.commit()
        thread.error = TimeoutError()
        assert not await consumer.commit()
        assert "trying again: no answer in time" in caplog.text
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
