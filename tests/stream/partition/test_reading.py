"""Positions: what of a fetch counts, and what may be committed."""

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from stream.partition.partitions import Partitions
from tests.stream.records import CLICKS, FakeRecord

OTHER = ("clicks", 1)


def records(*offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset) for offset in offsets]


def offsets(accepted: object) -> list[int]:
    return [record.offset for record in accepted]  # type: ignore[attr-defined]


def new() -> Partitions:
    return Partitions("clicks")


def at(offset: int, serial: int = 1) -> Partitions:
    ours = new()
    ours.of(CLICKS).expect(offset, serial=serial, epoch=0)
    return ours


def test_accept_without_a_seek_takes_nothing() -> None:
    assert offsets(new().of(CLICKS).accept(records(0, 1), serial=5)) == []


def test_accept_after_a_seek_takes_records_once() -> None:
    ours = at(3)
    assert offsets(ours.of(CLICKS).accept(records(2, 3, 4), serial=1)) == [3, 4]
    assert offsets(ours.of(CLICKS).accept(records(4, 5), serial=1)) == [5]


def test_accept_records_fetched_before_the_seek_takes_nothing_of_them() -> None:
    ours = at(10, serial=2)
    assert offsets(ours.of(CLICKS).accept(records(10, 11), serial=1)) == []
    assert offsets(ours.of(CLICKS).accept(records(10, 11), serial=2)) == [10, 11]


def test_accept_with_gaps_takes_what_is_there() -> None:
    assert offsets(at(3).of(CLICKS).accept(records(7, 9), serial=1)) == [7, 9]


def test_accept_of_a_log_that_was_cut_follows_it() -> None:
    ours = at(100)
    assert offsets(ours.of(CLICKS).accept(records(0, 1), serial=1)) == [0, 1]
    assert offsets(ours.of(CLICKS).accept(records(2), serial=1)) == [2]


def test_accept_of_what_is_held_takes_nothing() -> None:
    ours = at(0)
    ours.hold()
    assert offsets(ours.of(CLICKS).accept(records(0), serial=1)) == []
    assert not ours.of(CLICKS).is_expected


def test_a_seek_of_what_is_held_counts_once_it_is_released() -> None:
    ours = at(0)
    ours.hold()
    ours.of(CLICKS).expect(0, serial=2, epoch=0)
    assert not ours.of(CLICKS).is_expected
    ours.release([0])
    ours.of(CLICKS).expect(0, serial=3, epoch=0)
    assert offsets(ours.of(CLICKS).accept(records(0), serial=3)) == [0]


def test_what_is_held_for_good_is_released_by_nothing() -> None:
    ours = at(0)
    ours.hold(for_good=True)
    ours.hold()
    ours.release([0])
    ours.of(CLICKS).expect(0, serial=2, epoch=0)
    assert not ours.of(CLICKS).is_expected


class Interrupting:
    """A record whose offset is asked for while another thread is at work."""

    key = value = None
    timestamp, headers = -1, ()

    def __init__(self, work: Callable[[], None]) -> None:
        self.thread = threading.Thread(target=work)

    @property
    def offset(self) -> int:
        if self.thread.ident is None:
            self.thread.start()
            self.thread.join(0.2)
        return 1


def accept_while(ours: Partitions, work: Callable[[], None]) -> None:
    record = Interrupting(work)
    ours.of(CLICKS).accept([record], serial=1)
    record.thread.join(10)


def test_accept_does_not_undo_what_the_lookout_has_stopped_meanwhile() -> None:
    ours = at(0)
    accept_while(ours, ours.hold)
    assert not ours.of(CLICKS).is_expected


def test_accept_does_not_undo_a_seek_made_meanwhile() -> None:
    ours = at(0)
    accept_while(ours, lambda: ours.of(CLICKS).expect(50, serial=2, epoch=0))
    assert offsets(ours.of(CLICKS).accept(records(2, 3), serial=1)) == [], "fetched before the seek"


def test_expect_of_an_earlier_epoch_changes_nothing() -> None:
    ours = new()
    ours.give_up_all()
    ours.of(CLICKS).expect(0, serial=1, epoch=0)
    assert ours.reading() == []


def test_confirm_in_an_earlier_epoch_is_not_committed() -> None:
    ours = at(0)
    ours.give_up_all()
    assert not ours.clicks(0).confirm(5, epoch=0)
    assert ours.committable() == {}


def test_committable_after_a_commit_holds_only_what_is_new() -> None:
    ours = at(0)
    assert ours.clicks(0).position == 0
    assert ours.clicks(0).confirm(5, epoch=0)
    assert ours.committable() == {CLICKS: 5}
    ours.committed({CLICKS: 5}, epoch=0)
    assert ours.committable() == {}
    ours.clicks(0).confirm(6, epoch=0)
    assert (ours.committable(), ours.clicks(0).position) == ({CLICKS: 6}, 6)


def test_give_up_of_one_partition_leaves_the_others_as_they_are() -> None:
    ours = at(0)
    ours.of(OTHER).expect(0, serial=1, epoch=0)
    ours.give_up(ours.clicks(0))
    assert (ours.of(CLICKS).is_current(0), ours.of(OTHER).is_current(0)) == (False, True)
    assert not ours.clicks(0).confirm(5, epoch=0)
    assert ours.clicks(1).confirm(5, epoch=0)
    assert ours.reading() == [ours.clicks(1)]
    ours.of(CLICKS).expect(9, serial=2, epoch=0)
    assert not ours.of(CLICKS).is_expected, "a seek that was on its way when the partition was given up"
    ours.of(CLICKS).expect(3, serial=2, epoch=ours.epoch)
    assert ours.clicks(0).confirm(5, epoch=ours.epoch)
    ours.give_up_all()
    assert not ours.of(OTHER).is_current(0)
    assert ours.committable() == {}


def test_answered_is_known_over_epochs() -> None:
    ours = at(0)
    assert ours.clicks(0).answered == 0
    ours.clicks(0).confirm(5, epoch=0)
    ours.give_up(ours.clicks(0))
    ours.clicks(0).confirm(8, epoch=0)
    assert ours.clicks(0).answered == 5
    ours.clicks(0).recovered(7)
    ours.give_up_all()
    assert ours.clicks(0).answered == 7


def test_position_passes_offsets_without_records_once_all_before_them_is_confirmed() -> None:
    ours = at(0)
    ours.of(CLICKS).accept(records(0, 1), serial=1)
    assert ours.of(CLICKS).passed(4, serial=1)  # 2 and 3: an aborted record and a marker
    assert ours.clicks(0).position == 0
    ours.clicks(0).confirm(1, epoch=0)
    assert (ours.clicks(0).position, ours.committable()) == (1, {CLICKS: 1})
    ours.clicks(0).confirm(2, epoch=0)
    assert (ours.clicks(0).position, ours.committable()) == (4, {CLICKS: 4})
    ours.of(CLICKS).accept(records(4), serial=1)
    ours.of(CLICKS).passed(5, serial=1)
    assert ours.clicks(0).position == 2, "a click at offset 4 waits"


def test_position_of_a_partition_with_no_records_at_all_is_where_the_reader_stands() -> None:
    ours = at(3)
    assert not ours.of(CLICKS).passed(9, serial=0), "from before the seek"
    assert ours.clicks(0).position == 3
    assert ours.of(CLICKS).passed(5, serial=1)
    assert (ours.clicks(0).position, ours.committable()) == (5, {})
    ours.hold()
    assert not ours.of(CLICKS).passed(6, serial=1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30))
def test_accept_under_any_mix_of_stale_and_repeated_fetches_loses_nothing(steps: list[tuple[bool, int]]) -> None:
    """A fetch either goes on from the position, or is a stale one from before the last seek (back by some records)."""
    ours, serial, position, taken = at(0), 1, 0, []
    for seek, back in steps:
        stale = records(*range(position, position + 2))
        if seek:
            serial += 1
            position = max(position - back, 0)
            ours.of(CLICKS).expect(position, serial=serial, epoch=0)
            assert offsets(ours.of(CLICKS).accept(stale, serial=serial - 1)) == []
        taken += offsets(ours.of(CLICKS).accept(records(*range(position, position + 2)), serial=serial))
        position += 2
    assert set(taken) == set(range(max(taken, default=-1) + 1))
