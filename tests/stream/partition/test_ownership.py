"""What follows a position that the log does not hold: counted, examined once, and never a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from stream.config import StreamConfig
from stream.errors import PublishFailed
from stream.partition.owned import OwnedPartition
from stream.partition.ownership import Ownership
from stream.partition.partitions import Partitions
from tests.stream.records import CLICKS

CONFIG = StreamConfig(bootstrap_servers="a:1", registry="nowhere")


class Place:
    """An owner of partitions among parts that note what they are told."""

    def __init__(self) -> None:
        self.partitions = Partitions("clicks")
        self.lost: list[tuple[Any, int, int]] = []
        self.rejoined = 0
        self.accounted: list[tuple[Any, int]] = []
        lookout: Any = SimpleNamespace(
            moved=self._moved,
            clicks_identity=lambda _: None,
            forgotten=lambda _: None,
            accounted=lambda key, offset: self.accounted.append((key, offset)),
        )
        membership: Any = SimpleNamespace(
            consumer=SimpleNamespace(rejoin=self._rejoin), recovery=SimpleNamespace(forget=lambda _: None)
        )
        nothing: Any = SimpleNamespace(start_of=lambda partition, committed: committed, give_up_all=self._give_up_all)
        self.ownership = Ownership(
            CONFIG,
            membership,
            self.partitions,
            nothing,
            pipeline=nothing,
            guarantee=nothing,
            expiry=nothing,
            lookout=lookout,
            crash=lambda _: None,
        )

    def _moved(self, key: Any, begin: int, end: int) -> bool:
        self.lost.append((key, begin, end))
        return end > begin

    def _give_up_all(self) -> None:
        self.partitions.give_up_all()

    async def _rejoin(self) -> None:
        self.rejoined += 1

    def reading_at(self, offset: int) -> OwnedPartition:
        clicks = self.partitions.clicks(0)
        clicks.expect(offset, serial=1, epoch=self.partitions.epoch)
        return clicks

    def look(self) -> None:
        asyncio.run(self.ownership.clear())


def test_moved_forward_counts_and_passes_what_is_gone() -> None:
    place = Place()
    clicks = place.reading_at(20)
    place.ownership.moved(CLICKS, 20, 1000)
    place.look()
    assert (place.lost, clicks.position, clicks.is_expected, place.rejoined) == ([(CLICKS, 20, 1000)], 1000, True, 0)


def test_moved_in_the_changelog_is_no_matter_of_clicks() -> None:
    place = Place()
    place.ownership.moved((CONFIG.changelog_topic, 0), 20, 1000)
    assert place.lost == []


def test_moved_back_with_states_reads_nothing_until_they_are_examined() -> None:
    place = Place()
    clicks = place.reading_at(20)
    clicks.rows[b"a"] = b"row"
    place.ownership.moved(CLICKS, 20, 0)
    assert not clicks.is_expected
    place.look()
    place.look()
    assert place.rejoined == 1


def test_moved_back_with_states_is_read_by_no_rewind_before_they_are_examined() -> None:
    place = Place()
    clicks = place.reading_at(20)
    clicks.rows[b"a"] = b"row"
    place.ownership.moved(CLICKS, 20, 0)
    place.reading_at(20)
    assert (clicks.held, clicks.is_expected) == (True, False)


def settle_as(place: Place, monkeypatch: pytest.MonkeyPatch, answer: Callable[[], bool]) -> bool:
    async def settle(*_: object) -> bool:
        return answer()

    monkeypatch.setattr(place.ownership._origins, "settle", settle)
    return asyncio.run(place.ownership.settle([0], lambda: asyncio.sleep(0, {})))


@pytest.mark.parametrize("settled", [True, False])
def test_what_was_assigned_is_held_until_its_states_are_found_to_be_of_its_clicks(
    monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    place = Place()
    clicks = place.partitions.clicks(0)
    place.ownership.assigned([0])
    assert clicks.held
    assert settle_as(place, monkeypatch, lambda: settled) == settled
    assert clicks.held == (not settled)


def test_what_is_assigned_anew_while_it_is_settled_stays_held(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    place.ownership.assigned([0])

    def assigned_anew() -> bool:
        place.ownership.assigned([0])
        return True

    settle_as(place, monkeypatch, assigned_anew)
    assert place.partitions.clicks(0).held


def test_a_batch_that_fails_while_partitions_are_settled_keeps_none_of_them_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    place.ownership.assigned([0])

    def batch_fails() -> bool:
        place.partitions.give_up(place.partitions.clicks(0))
        return True

    settle_as(place, monkeypatch, batch_fails)
    assert not place.partitions.clicks(0).held


def test_what_the_group_knows_to_be_done_with_was_counted_if_it_was_lost() -> None:
    place = Place()
    clicks = place.partitions.clicks(0)
    place.ownership.start_of(clicks, 1000)
    place.ownership.start_of(clicks, None)
    clicks.is_reset = True
    place.ownership.start_of(clicks, 5000)
    assert place.accounted == [(CLICKS, 1000), (CLICKS, 0)], "a reset partition's offset is of other clicks"


def test_moved_back_again_after_the_examination_follows_the_log() -> None:
    place = Place()
    clicks = place.reading_at(20)
    clicks.rows[b"a"] = b"row"
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    place.partitions.release([0])  # as the assignment does that follows
    place.reading_at(20)
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    assert (clicks.is_expected, place.rejoined) == (True, 1), "the states were right: the group's offset was not"
    assert place.ownership.start_of(clicks, 20) is None


def test_moved_back_after_another_worker_had_the_partition_is_examined_anew() -> None:
    place = Place()
    clicks = place.reading_at(20)
    clicks.rows[b"a"] = b"row"
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    for numbers in ([], [0]):
        place.ownership.assigned(numbers)
    place.partitions.release([0])
    clicks = place.reading_at(30)
    clicks.rows[b"a"] = b"row of the other"
    place.ownership.moved(CLICKS, 30, 0)
    place.look()
    assert (clicks.is_expected, place.rejoined) == (False, 2)


def test_moved_back_without_states_follows_the_log_and_forgets_the_groups_offset() -> None:
    place = Place()
    clicks = place.reading_at(20)
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    assert (clicks.is_expected, place.rejoined) == (True, 0)
    assert place.partitions.committable() == {CLICKS: 0}, "else a crash before the first answer leaves the group at 20"
    assert place.ownership.start_of(clicks, 20) is None
    clicks.recovered(3)
    assert place.ownership.start_of(clicks, 20) == 3


def test_settle_that_could_not_write_joins_the_group_again_and_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> bool:
        raise PublishFailed("another worker took over")

    place = Place()
    monkeypatch.setattr(place.ownership._origins, "settle", fail)
    assert not asyncio.run(place.ownership.settle([0], lambda: asyncio.sleep(0, {})))
    assert place.rejoined == 1
