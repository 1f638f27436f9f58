"""aiokafka's silent moves, heard on its own state of a partition."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.subscription_state import Assignment
from aiokafka.structs import TopicPartition

from stream.faust.resets import note_resets
from stream.partition.reading import Partition

CLICKS = TopicPartition("clicks", 3)
EARLIEST = 2


def heard(*steps: tuple[str, int]) -> list[tuple[Partition, int, int]]:
    """What is told of some calls on the state of an assigned partition."""
    moves: list[tuple[Partition, int, int]] = []

    async def run() -> None:
        assignment = Assignment({CLICKS})
        consumer: Any = SimpleNamespace(_subscription=SimpleNamespace(subscription=SimpleNamespace()))
        consumer._subscription.subscription.assignment = assignment
        for _ in range(2):
            note_resets(consumer, CLICKS, lambda *move: moves.append(move))
        note_resets(consumer, TopicPartition("clicks", 4), lambda *move: moves.append(move))
        for name, argument in steps:
            getattr(assignment.state_value(CLICKS), name)(argument)

    asyncio.run(run())
    return moves


def test_note_resets_tells_from_where_to_where_once() -> None:
    assert heard(("seek", 20), ("await_reset", EARLIEST), ("reset_to", 1000)) == [(("clicks", 3), 20, 1000)]
    assert heard(("seek", 20), ("await_reset", EARLIEST), ("reset_to", 0)) == [(("clicks", 3), 20, 0)]


def test_note_resets_first_position_of_a_partition_is_no_move() -> None:
    assert heard(("await_reset", EARLIEST), ("reset_to", 5), ("seek", 20)) == []


def test_note_resets_seek_before_the_answer_counts_anew() -> None:
    steps = (("seek", 20), ("await_reset", EARLIEST), ("seek", 30), ("await_reset", EARLIEST), ("reset_to", 40))
    assert heard(*steps) == [(("clicks", 3), 30, 40)]


def test_note_resets_without_an_assignment_does_nothing() -> None:
    note_resets(SimpleNamespace(_subscription=SimpleNamespace(subscription=None)), CLICKS, lambda *_: None)
