"""States of other clicks than those in the topic are found before any of these is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from stream.config import StreamConfig
from stream.errors import PublishFailed, TopicError
from stream.guarantee.publisher import Outgoing
from stream.messages.contract import Click
from stream.partition.erased import Mark, mark_headers
from stream.partition.origins import Origins
from stream.partition.owned import OwnedPartition
from stream.partition.positions import ORIGIN_KEY, POSITION_KEY
from stream.partition.session import encode_state, fold_click
from tests.stream.records import TS, FakeRecord


def row(offset: int) -> bytes:
    return encode_state(fold_click(None, Click("s", "i", TS), offset))


class Place:
    """Partitions with states in them, and a changelog that takes what is published."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, reset_state: bool = False, identity: str | None = "new"):
        monkeypatch.setattr("stream.partition.origins._ASK_S", 0.01)
        monkeypatch.setattr("stream.partition.origins._LATE_S", 0.05)
        self.partitions = [OwnedPartition(("clicks", number)) for number in range(2)]
        self.published: list[Outgoing] = []
        self.refused: list[TopicError] = []
        self.dropped: list[int] = []
        self.identity = identity
        self.error: Exception | None = None
        config = StreamConfig(bootstrap_servers="a:1", registry="nowhere", group="shop", reset_state=reset_state)
        self.origins = Origins(
            config,
            identity=self._identity,
            publish=self._publish,
            forgotten=self.dropped.append,
            refuse=self.refused.append,
        )

    async def _identity(self) -> str | None:
        return self.identity

    async def _publish(self, partition: OwnedPartition, rows: Sequence[Outgoing]) -> None:
        assert all(one.partition == partition.number and one.tracked for one in rows)
        if self.error is not None:
            raise self.error
        self.published += rows

    def restored(self, *rows: tuple[bytes, bytes | None], number: int = 0) -> None:
        records = [FakeRecord(place, key, value) for place, (key, value) in enumerate(rows)]
        self.origins.restored(self.partitions[number], records)
        held = {key: value for key, value in rows if value is not None and not key.startswith(b"\x00")}
        self.partitions[number].rows.update(held)

    def erased(self, key: bytes, offset: int) -> None:
        mark = Mark(offset, TS)
        self.origins.restored(self.partitions[0], [FakeRecord(0, key, None, headers=mark_headers(mark))])
        self.partitions[0].erased.restore(key, mark)

    def settle(self, *ends: int) -> bool:
        """The ends of the partitions from 0 on."""

        async def found() -> Mapping[int, int]:
            return dict(enumerate(ends))

        return asyncio.run(self.origins.settle(self.partitions[: len(ends)], found))

    def rows(self) -> list[tuple[bytes | None, bytes | None]]:
        return [(one.key, one.value) for one in self.published]


Make = Callable[..., Place]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda **options: Place(monkeypatch, **options)


def test_settle_states_below_the_end_may_be_read_and_the_identity_is_written_once(place: Make) -> None:
    here = place()
    here.restored((b"a", row(3)), (b"b", row(9)))
    assert here.settle(10)
    assert here.rows() == [(ORIGIN_KEY, b"new")]
    assert here.settle(10)
    assert len(here.published) == 1, "it is there"


def test_settle_identity_in_the_changelog_is_not_written_again(place: Make) -> None:
    here = place()
    here.restored((b"a", row(3)), (ORIGIN_KEY, b"new"))
    assert here.settle(10)
    assert here.published == []


def test_settle_states_of_another_topic_are_refused_wherever_its_log_ends(place: Make) -> None:
    here = place()
    here.restored((ORIGIN_KEY, b"old"), (b"a", row(3)))
    assert not here.settle(1000)
    assert "a topic with another identity (old, not new)" in str(here.refused[0])
    assert "--reset-state" in str(here.refused[0])
    assert here.published == []


def test_settle_states_above_the_end_are_refused_without_an_identity(place: Make) -> None:
    here = place(identity=None)
    here.restored((b"a", row(30)), (b"b", row(9)))
    assert not here.settle(30)
    assert "the log ends at offset 30, the newest of them is of 30" in str(here.refused[0])


def test_settle_position_above_the_end_is_refused(place: Make) -> None:
    here = place()
    here.partitions[1].recovered(31)
    assert not here.settle(0, 30)
    assert here.settle(0, 31)


def test_settle_end_that_a_new_leader_learns_late_is_waited_for(place: Make) -> None:
    here = place()
    here.restored((b"a", row(30)))
    ends = iter([30, 30, 31])

    async def found() -> Mapping[int, int]:
        return {0: next(ends)}

    assert asyncio.run(here.origins.settle(here.partitions[:1], found))


def test_settle_other_topic_without_states_is_at_home_at_once(place: Make) -> None:
    here = place()
    here.restored((ORIGIN_KEY, b"old"), (b"a", None))
    assert here.settle(5)
    assert here.rows() == [(ORIGIN_KEY, b"new")]
    assert here.partitions[0].is_reset, "the group's offset is of the topic before: clicks would be passed over"
    assert here.settle(5)
    assert here.partitions[0].is_reset, "so it is while the group was not told"
    here.partitions[0].committed(0, epoch=here.partitions[0].since)
    assert not here.partitions[0].is_reset


def test_settle_topic_that_is_the_same_or_was_not_noted_leaves_the_groups_offset(place: Make) -> None:
    for rows in ([], [(ORIGIN_KEY, b"new")]):
        here = place()
        here.restored(*rows)
        assert here.settle(5)
        assert not here.partitions[0].is_reset


def test_settle_with_reset_state_deletes_rows_and_position_of_that_partition_only(place: Make) -> None:
    here = place(reset_state=True)
    here.restored((ORIGIN_KEY, b"new"), (b"kept", row(3)), number=0)
    here.restored((ORIGIN_KEY, b"old"), (b"a", row(3)), (b"b", row(4)), number=1)
    here.partitions[1].recovered(5)
    assert here.settle(10, 10)
    assert here.rows() == [(b"a", None), (b"b", None), (POSITION_KEY, None), (ORIGIN_KEY, b"new")]
    assert [list(one.rows) for one in here.partitions] == [[b"kept"], []]
    assert (here.partitions[1].answered, here.dropped) == (0, [2])
    assert [one.is_reset for one in here.partitions] == [False, True]
    assert here.settle(10, 10), "the next assignment finds all well"
    assert here.partitions[1].is_reset, "but for what the group has committed"
    here.partitions[1].committed(0, epoch=here.partitions[1].since)
    assert not here.partitions[1].is_reset


def test_settle_reset_that_cannot_be_written_is_no_reset(place: Make) -> None:
    here = place(reset_state=True)
    here.restored((ORIGIN_KEY, b"old"), (b"a", row(3)))
    here.error = PublishFailed("away")
    with pytest.raises(PublishFailed):
        here.settle(10)
    assert list(here.partitions[0].rows) == [b"a"]
    assert not here.partitions[0].is_reset


def test_settle_identity_that_cannot_be_written_comes_with_the_next_assignment(place: Make) -> None:
    here = place()
    here.error = PublishFailed("away")
    assert here.settle(10)
    here.error = None
    assert here.settle(10)
    assert here.rows() == [(ORIGIN_KEY, b"new")]


def test_taking_over_makes_way_for_what_the_changelog_says(place: Make) -> None:
    here = place()
    here.restored((ORIGIN_KEY, b"old"), (b"a", row(300)))
    here.partitions[0].take_over()
    here.restored((ORIGIN_KEY, b"new"), (b"a", row(3)))
    assert here.settle(10)


def test_settle_after_a_reset_the_rows_before_it_count_no_more(place: Make) -> None:
    here = place()
    here.restored((ORIGIN_KEY, b"old"), (b"a", row(300)), (POSITION_KEY, b"301"))
    here.partitions[0].recovered(301)
    del here.partitions[0].rows[b"a"]  # by its tombstone
    here.restored((b"a", None), (POSITION_KEY, None), (ORIGIN_KEY, b"new"), (b"b", row(3)), (POSITION_KEY, b"4"))
    assert here.partitions[0].answered == 0, "until the newest position is taken"
    assert here.settle(10)
    assert (here.refused, here.published) == ([], [])


def test_settle_erase_above_the_end_is_refused_as_a_state_is(place: Make) -> None:
    here = place(identity=None)
    here.erased(b"a", 30)
    assert not here.settle(30)
    assert here.settle(31)
    assert list(here.partitions[0].erased) == [b"a"]


def test_settle_with_reset_state_takes_back_what_was_erased(place: Make) -> None:
    here = place(identity=None, reset_state=True)
    here.erased(b"a", 30)
    assert here.settle(30)
    assert here.rows() == [(b"a", None), (POSITION_KEY, None)]
    assert not here.partitions[0].erased


def test_settle_other_topic_without_states_takes_back_what_was_erased_before(place: Make) -> None:
    here = place()
    here.restored((ORIGIN_KEY, b"old"))
    here.erased(b"a", 3)
    assert here.settle(5)
    assert here.rows() == [(b"a", None), (ORIGIN_KEY, b"new")]
    assert not here.partitions[0].erased, "clicks of the new topic, at the same offsets, count"
