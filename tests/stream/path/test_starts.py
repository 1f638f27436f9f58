"""When a partition may begin a batch, and when clicks are fetched again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stream.partition.owned import OwnedPartition
from stream.path import starts
from stream.path.inference import Inference
from stream.path.starts import _LONGEST_S, _REST_S, Overlapping, Rounds, Starts
from tests.stream.records import click


def partitions(count: int) -> list[OwnedPartition]:
    return [OwnedPartition(("clicks", number)) for number in range(count)]


def idle(*, run_s: float = 0.0, over_at: float = 0.0) -> Inference:
    """An inference thread that has nothing to do, or looks as if it had."""
    inference = Inference(lambda batches: ([], ""))
    inference.run_s, inference.over_at = run_s, over_at
    return inference


def begin(rule: Starts, partition: OwnedPartition) -> None:
    partition.begun += 1
    rule.began(partition)


def end(rule: Starts, partition: OwnedPartition) -> None:
    partition.begun -= 1
    rule.over(partition)


def fill(partition: OwnedPartition, clicks: int) -> None:
    partition.line.extend([click(number, "s", "1") for number in range(clicks)])


def in_rounds(run: Callable[[Rounds, list[int]], Awaitable[None]], most: int = 4) -> None:
    """`run` gets the rule, and how often it asked to look again, in a list."""

    async def scenario() -> None:
        looked = [0]

        def look_again() -> None:
            looked[0] += 1

        await run(Rounds(most, idle(), look_again), looked)

    asyncio.run(asyncio.wait_for(scenario(), 20))


async def next_turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_overlapping_each_partition_has_as_many_batches_as_may_be() -> None:
    rule, (one, other) = Overlapping(2, idle()), partitions(2)
    begin(rule, one)
    assert rule.may_begin(one)
    begin(rule, one)
    assert (rule.may_begin(one), rule.may_begin(other)) == (False, True)
    end(rule, one)
    assert rule.may_begin(one)


def test_partitions_begin_a_round_together_and_the_next_one_when_all_are_over() -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        one, other, late = partitions(3)
        begin(rule, one)
        assert rule.may_begin(other), "in the same turn of the event loop"
        begin(rule, other)
        await next_turn()
        assert not rule.may_begin(late), "it comes too late for this round"
        end(rule, one)
        assert [rule.may_begin(partition) for partition in (one, late)] == [False, False]
        end(rule, other)
        assert all(rule.may_begin(partition) for partition in (one, other, late))

    in_rounds(run)


def test_a_partition_has_one_batch_of_a_round() -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        (one,) = partitions(1)
        begin(rule, one)
        fill(one, 255)
        assert not rule.may_begin(one)

    in_rounds(run)


def test_a_backlog_waits_for_no_round() -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        one, other = partitions(2)
        begin(rule, one)
        await next_turn()
        fill(one, 256)
        fill(other, 256)
        assert [rule.may_begin(partition) for partition in (one, other)] == [True, True]
        begin(rule, one)
        begin(rule, other)
        assert not rule.may_begin(one), "there are as many as may be"
        end(rule, one)
        assert rule.may_begin(partitions(1)[0]), "the batches beside the round are not of it"

    in_rounds(run, most=2)


def test_a_slow_partition_is_not_waited_for_by_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        slow, other = partitions(2)
        begin(rule, slow)
        begin(rule, other)
        await next_turn()
        end(rule, other)
        assert not rule.may_begin(other)
        while not looked[0]:
            await asyncio.sleep(0.001)
        assert [rule.may_begin(partition) for partition in (other, slow)] == [True, False]
        begin(rule, other)
        await next_turn()
        end(rule, other)
        assert rule.may_begin(other), "it is waited for once, not in each round"
        end(rule, slow)
        assert rule.may_begin(slow)

    monkeypatch.setattr(starts, "_PATIENCE_S", 0.005)
    in_rounds(run)


def test_a_round_that_ended_in_time_does_not_end_the_patience_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        (one,) = partitions(1)
        began = asyncio.get_running_loop().time()
        begin(rule, one)
        await asyncio.sleep(0.03)
        end(rule, one)
        begin(rule, one)
        while not looked[0]:
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - began >= 0.03 + 0.05

    monkeypatch.setattr(starts, "_PATIENCE_S", 0.05)
    in_rounds(run)


@pytest.mark.parametrize(
    ("run_s", "rest_s"), [(0.0, _REST_S), (0.001, _REST_S), (0.004, 0.006), (0.007, 0.0105), (1.0, _LONGEST_S)]
)
def test_overlapping_the_rest_between_fetches_is_as_long_as_rankings_take_within_bounds(
    run_s: float, rest_s: float
) -> None:
    assert Overlapping(4, idle(run_s=run_s)).fetch_at(100.0) == pytest.approx(100.0 + rest_s)


@pytest.mark.parametrize(
    ("over_at", "rest_s"), [(0.0, _REST_S), (99.0, _REST_S), (100.005, 0.005), (101.0, _LONGEST_S)]
)
def test_in_rounds_nothing_is_fetched_while_a_ranking_is_under_way(over_at: float, rest_s: float) -> None:
    rounds = Rounds(4, idle(over_at=over_at), lambda: None)
    assert rounds.fetch_at(100.0) == pytest.approx(100.0 + rest_s)


def test_a_partition_that_was_slow_is_waited_for_again_once_a_batch_of_it_is_over_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        slow, other = partitions(2)
        for took_s, is_waited_for in ((0.06, True), (0.06, False), (0.0, False), (0.0, True)):
            begin(rule, slow)
            begin(rule, other)
            await next_turn()
            end(rule, other)
            assert rule.may_begin(other) != is_waited_for
            await asyncio.sleep(took_s)
            end(rule, slow)
            assert rule.may_begin(other)

    monkeypatch.setattr(starts, "_PATIENCE_S", 0.05)
    in_rounds(run)


def test_a_backlog_that_begins_beside_its_own_batches_opens_no_round() -> None:
    async def run(rule: Rounds, looked: list[int]) -> None:
        busy, other = partitions(2)
        fill(busy, 300)
        begin(rule, busy)
        rule._lose_patience()  # it takes its time
        begin(rule, busy)
        await next_turn()
        assert rule.may_begin(other)

    in_rounds(run)
