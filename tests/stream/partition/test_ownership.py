"""What follows a position that the log does not hold: counted, examined once, and never a loop."""

from __future__ import annotations

import asyncio
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
        lookout: Any = SimpleNamespace(moved=self._moved, clicks_identity=lambda _: None, forgotten=lambda _: None)
        membership: Any = SimpleNamespace(consumer=SimpleNamespace(rejoin=self._rejoin))
        nothing: Any = SimpleNamespace(start_of=lambda partition, committed: committed)
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


def test_moved_back_again_after_the_examination_follows_the_log() -> None:
    place = Place()
    clicks = place.reading_at(20)
    clicks.rows[b"a"] = b"row"
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    place.reading_at(20)
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    assert (clicks.is_expected, place.rejoined) == (True, 1), "the states were right: the group's offset was not"
    assert place.ownership.start_of(clicks, 20) is None


def test_moved_back_without_states_follows_the_log_and_forgets_the_groups_offset() -> None:
    place = Place()
    clicks = place.reading_at(20)
    place.ownership.moved(CLICKS, 20, 0)
    place.look()
    assert (clicks.is_expected, place.rejoined) == (True, 0)
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
