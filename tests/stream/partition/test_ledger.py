"""Positions: what of a fetch counts, and what may be committed."""

from hypothesis import given
from hypothesis import strategies as st

from stream.partition.ledger import Ledger
from tests.stream.records import CLICKS, FakeRecord

OTHER = ("clicks", 1)


def records(*offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset) for offset in offsets]


def offsets(accepted: object) -> list[int]:
    return [record.offset for record in accepted]  # type: ignore[attr-defined]


def at(offset: int, serial: int = 1) -> Ledger:
    ledger = Ledger()
    ledger.expect(CLICKS, offset, serial=serial, epoch=0)
    return ledger


def test_accept_without_a_seek_takes_nothing() -> None:
    assert offsets(Ledger().accept(CLICKS, records(0, 1), serial=5)) == []


def test_accept_after_a_seek_takes_records_once() -> None:
    ledger = at(3)
    assert offsets(ledger.accept(CLICKS, records(2, 3, 4), serial=1)) == [3, 4]
    assert offsets(ledger.accept(CLICKS, records(4, 5), serial=1)) == [5]


def test_accept_records_fetched_before_the_seek_takes_nothing_of_them() -> None:
    ledger = at(10, serial=2)
    assert offsets(ledger.accept(CLICKS, records(10, 11), serial=1)) == []
    assert offsets(ledger.accept(CLICKS, records(10, 11), serial=2)) == [10, 11]


def test_accept_with_gaps_takes_what_is_there() -> None:
    assert offsets(at(3).accept(CLICKS, records(7, 9), serial=1)) == [7, 9]


def test_accept_of_a_log_that_was_cut_follows_it() -> None:
    ledger = at(100)
    assert offsets(ledger.accept(CLICKS, records(0, 1), serial=1)) == [0, 1]
    assert offsets(ledger.accept(CLICKS, records(2), serial=1)) == [2]


def test_accept_after_stop_reading_takes_nothing() -> None:
    ledger = at(0)
    ledger.stop_reading()
    assert offsets(ledger.accept(CLICKS, records(0), serial=1)) == []
    assert not ledger.is_expected(CLICKS)


def test_expect_of_an_earlier_epoch_changes_nothing() -> None:
    ledger = Ledger()
    ledger.new_epoch()
    ledger.expect(CLICKS, 0, serial=1, epoch=0)
    assert ledger.reading("clicks") == []


def test_confirm_in_an_earlier_epoch_is_not_committed() -> None:
    ledger = at(0)
    ledger.new_epoch()
    assert not ledger.confirm(CLICKS, 5, epoch=0)
    assert ledger.committable() == {}


def test_committable_after_a_commit_holds_only_what_is_new() -> None:
    ledger = at(0)
    assert ledger.position(CLICKS) == 0
    assert ledger.confirm(CLICKS, 5, epoch=0)
    assert ledger.committable() == {CLICKS: 5}
    ledger.committed({CLICKS: 5}, epoch=0)
    assert ledger.committable() == {}
    ledger.confirm(CLICKS, 6, epoch=0)
    assert (ledger.committable(), ledger.position(CLICKS)) == ({CLICKS: 6}, 6)


def test_give_up_of_one_partition_leaves_the_others_as_they_are() -> None:
    ledger = at(0)
    ledger.expect(OTHER, 0, serial=1, epoch=0)
    ledger.give_up(CLICKS)
    assert (ledger.is_current(CLICKS, 0), ledger.is_current(OTHER, 0)) == (False, True)
    assert not ledger.confirm(CLICKS, 5, epoch=0)
    assert ledger.confirm(OTHER, 5, epoch=0)
    assert ledger.reading("clicks") == [OTHER]
    ledger.expect(CLICKS, 9, serial=2, epoch=0)
    assert not ledger.is_expected(CLICKS), "a seek that was on its way when the partition was given up"
    ledger.expect(CLICKS, 3, serial=2, epoch=ledger.epoch)
    assert ledger.confirm(CLICKS, 5, epoch=ledger.epoch)
    ledger.new_epoch()
    assert not ledger.is_current(OTHER, 0)
    assert ledger.committable() == {}


def test_answered_is_known_over_epochs() -> None:
    ledger = at(0)
    assert ledger.answered(CLICKS) == 0
    ledger.confirm(CLICKS, 5, epoch=0)
    ledger.give_up(CLICKS)
    ledger.confirm(CLICKS, 8, epoch=0)
    assert ledger.answered(CLICKS) == 5
    ledger.recovered(CLICKS, 7)
    ledger.new_epoch()
    assert ledger.answered(CLICKS) == 7


def test_position_passes_offsets_without_records_once_all_before_them_is_confirmed() -> None:
    ledger = at(0)
    ledger.accept(CLICKS, records(0, 1), serial=1)
    assert ledger.passed(CLICKS, 4, serial=1)  # 2 and 3: an aborted record and a marker
    assert ledger.position(CLICKS) == 0
    ledger.confirm(CLICKS, 1, epoch=0)
    assert (ledger.position(CLICKS), ledger.committable()) == (1, {CLICKS: 1})
    ledger.confirm(CLICKS, 2, epoch=0)
    assert (ledger.position(CLICKS), ledger.committable()) == (4, {CLICKS: 4})
    ledger.accept(CLICKS, records(4), serial=1)
    ledger.passed(CLICKS, 5, serial=1)
    assert ledger.position(CLICKS) == 2, "a click at offset 4 waits"


def test_position_of_a_partition_with_no_records_at_all_is_where_the_reader_stands() -> None:
    ledger = at(3)
    assert not ledger.passed(CLICKS, 9, serial=0), "from before the seek"
    assert ledger.position(CLICKS) == 3
    assert ledger.passed(CLICKS, 5, serial=1)
    assert (ledger.position(CLICKS), ledger.committable()) == (5, {})
    ledger.stop_reading()
    assert not ledger.passed(CLICKS, 6, serial=1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30))
def test_accept_under_any_mix_of_stale_and_repeated_fetches_loses_nothing(steps: list[tuple[bool, int]]) -> None:
    """A fetch either goes on from the position, or is a stale one from before the last seek (back by some records)."""
    ledger, serial, position, taken = at(0), 1, 0, []
    for seek, back in steps:
        stale = records(*range(position, position + 2))
        if seek:
            serial += 1
            position = max(position - back, 0)
            ledger.expect(CLICKS, position, serial=serial, epoch=0)
            assert offsets(ledger.accept(CLICKS, stale, serial=serial - 1)) == []
        taken += offsets(ledger.accept(CLICKS, records(*range(position, position + 2)), serial=serial))
        position += 2
    assert set(taken) == set(range(max(taken, default=-1) + 1))
