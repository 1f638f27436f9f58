"""The micro-batcher's lines, turns and bounds."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.partition.line import Line
from stream.partition.partitions import Partitions
from stream.path.batcher import Batch, Batcher
from tests.stream.records import FakeRecord


def records(*offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset) for offset in offsets]


class Interrupted(Line):
    """Whoever asks for its length is interrupted by the event loop, where another partition's turn comes."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def __len__(self) -> int:
        self._meanwhile()
        return super().__len__()


async def take_all(batcher: Batcher) -> list[tuple[int, list[int]]]:
    taken: list[Batch] = []
    while batcher.queued:
        taken.append(await batcher.take(Partitions("clicks")))
    return [(batch.partition.number, [record.offset for record in batch.records]) for batch in taken]


def test_take_holds_one_partition_and_rotates() -> None:
    async def scenario() -> list[tuple[int, list[int]]]:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=2, max_queued=100)
        batcher.put(ours.clicks(0), records(0, 1, 2, 3, 4))
        batcher.put(ours.clicks(1), records(0, 1, 2))
        return await take_all(batcher)

    assert asyncio.run(scenario()) == [(0, [0, 1]), (1, [0, 1]), (0, [2, 3]), (1, [2]), (0, [4])]


def test_queued_may_be_asked_in_another_thread_while_turns_change() -> None:
    async def scenario() -> int:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=2, max_queued=100)
        batcher.put(ours.clicks(0), records(0, 1))
        batcher.put(ours.clicks(1), records(0))
        ours.clicks(0).line = Interrupted(lambda: batcher._turns.rotate())
        ours.clicks(0).line.extend(records(0, 1))
        return batcher.queued

    assert asyncio.run(scenario()) == 3


def test_take_from_an_empty_batcher_waits_for_the_first_record() -> None:
    async def scenario() -> Batch:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=10, max_queued=100)
        waiting = asyncio.create_task(batcher.take(Partitions("clicks")))
        await asyncio.sleep(0)
        assert not waiting.done()
        batcher.put(ours.clicks(3), records(7))
        return await asyncio.wait_for(waiting, 1)

    batch = asyncio.run(scenario())
    assert (batch.partition.key, [record.offset for record in batch.records]) == (("clicks", 3), [7])


def test_take_stamps_the_epoch_of_the_moment() -> None:
    async def scenario() -> int:
        batcher, ours = Batcher(max_batch=10, max_queued=100), Partitions("clicks")
        ours.give_up_all()
        batcher.put(ours.clicks(0), records(0))
        return (await batcher.take(ours)).epoch

    assert asyncio.run(scenario()) == 1


def test_room_is_awaited_while_the_bound_is_reached() -> None:
    async def scenario() -> None:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=1, max_queued=2)
        batcher.put(ours.clicks(0), records(0, 1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batcher.room(), 0.01)
        await batcher.take(Partitions("clicks"))
        await asyncio.wait_for(batcher.room(), 0.1)

    asyncio.run(scenario())


def test_clear_of_one_partition_leaves_the_others() -> None:
    async def scenario() -> None:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=5, max_queued=3)
        for number in (0, 1, 2):
            batcher.put(ours.clicks(number), records(number))
        ours.give_up(ours.clicks(1))
        ours.give_up(ours.clicks(9))
        batcher.look_again()
        await asyncio.wait_for(batcher.room(), 0.1)
        batcher.put(ours.clicks(1), records(7))
        assert await take_all(batcher) == [(0, [0]), (2, [2]), (1, [7])]
        ours.give_up(ours.clicks(1))
        assert batcher.queued == 0

    asyncio.run(scenario())


def test_clear_drops_what_waits_and_makes_room() -> None:
    async def scenario() -> None:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=1, max_queued=1)
        batcher.put(ours.clicks(0), records(0, 1))
        batcher.clear()
        await asyncio.wait_for(batcher.room(), 0.1)
        assert batcher.queued == 0
        batcher.put(ours.clicks(0), records(5))
        assert await take_all(batcher) == [(0, [5])]

    asyncio.run(scenario())


def test_put_of_nothing_makes_no_batch() -> None:
    ours, batcher = Partitions("clicks"), Batcher(max_batch=1, max_queued=1)
    batcher.put(ours.clicks(0), [])
    assert batcher.queued == 0


def sized(size: int, *offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset, b"k" * 10, b"v" * (size - 10)) for offset in offsets]


def test_put_huge_records_fills_the_queue_by_their_bytes_until_a_batch_is_taken() -> None:
    async def scenario() -> None:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=100, max_queued=100, max_bytes=4000)
        batcher.put(ours.clicks(0), sized(1300, 0, 1, 2))
        assert not batcher.full
        batcher.put(ours.clicks(0), sized(1300, 3))
        assert (batcher.full, batcher.queued_bytes) == (True, 5200)
        waiting = asyncio.create_task(batcher.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert [record.offset for record in (await batcher.take(Partitions("clicks"))).records] == [0], (
            "one that is larger"
        )
        await asyncio.wait_for(waiting, 1)
        assert not batcher.full

    asyncio.run(scenario())


def test_take_holds_a_quarter_of_the_bytes_and_keeps_every_record_in_order() -> None:
    async def scenario() -> None:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=100, max_queued=100, max_bytes=4000)
        batcher.put(ours.clicks(0), [*sized(300, 0, 1, 2, 3), *sized(2000, 4), *sized(20, 5, 6)])
        assert await take_all(batcher) == [(0, [0, 1, 2]), (0, [3]), (0, [4]), (0, [5, 6])]
        assert (batcher.queued, batcher.queued_bytes) == (0, 0)

    asyncio.run(scenario())


def test_clear_forgets_the_bytes_too() -> None:
    async def scenario() -> None:
        ours, batcher = Partitions("clicks"), Batcher(max_batch=100, max_queued=100, max_bytes=1000)
        batcher.put(ours.clicks(0), sized(1000, 0))
        batcher.clear()
        assert (batcher.full, batcher.queued_bytes) == (False, 0)

    asyncio.run(scenario())


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(10, 600)), max_size=60))
def test_bytes_queued_are_those_of_the_records_that_wait(arrivals: list[tuple[int, int]]) -> None:
    async def scenario() -> None:
        ours, batcher, left = Partitions("clicks"), Batcher(max_batch=3, max_queued=100, max_bytes=1000), 0
        for offset, (partition, size) in enumerate(arrivals):
            batcher.put(ours.clicks(partition), sized(size, offset))
            left += size
            if offset % 3 == 2:
                batch = await batcher.take(Partitions("clicks"))
                taken = sum(len(record.value or b"") + len(record.key or b"") for record in batch.records)
                assert taken <= 250 or len(batch.records) == 1
                left -= taken
            assert batcher.queued_bytes == left

    asyncio.run(scenario())


def test_header_without_a_value_counts_by_its_name() -> None:
    ours, batcher = Partitions("clicks"), Batcher(max_batch=10, max_queued=10)
    batcher.put(ours.clicks(0), [FakeRecord(0, b"k", b"v", headers=(("null", None), ("h", b"12")))])
    assert batcher.queued_bytes == 2 + 4 + 3
