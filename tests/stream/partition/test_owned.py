"""One partition: what ends when it is given up, lost or taken over, and what does not."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.rows import SessionRows
from stream.path.commit import Prepared
from tests.stream.records import CLICKS, FakeRecord


def in_use() -> tuple[Partitions, OwnedPartition]:
    """A partition that is read, with something of everything."""
    ours = Partitions("clicks")
    clicks = ours.clicks(0)
    ours.assign([0])
    clicks.expect(3, serial=1, epoch=0)
    clicks.accept([FakeRecord(3)], serial=1)
    clicks.confirm(4, epoch=0)
    ours.committed({CLICKS: 4}, epoch=0)
    clicks.begin(cast(Prepared, "second"))
    clicks.begin(cast(Prepared, "third"))
    clicks.line.extend([FakeRecord(5, b"k", b"v")])
    clicks.rows[b"a"] = b"row"
    clicks.idle.touch(7, [b"a"])
    clicks.idle.advance(99)
    clicks.stale.add(b"a")
    clicks.behind, clicks.old_position = 3, True
    clicks.origin, clicks.newest = "identity", 4
    return ours, clicks


def names(batches: list[Prepared]) -> list[object]:
    """What stands for batches here."""
    return list(batches)


def state(clicks: OwnedPartition) -> tuple[object, ...]:
    idle = clicks.idle
    known = (clicks.stale, clicks.behind, clicks.old_position, clicks.origin, clicks.newest)
    return dict(clicks.rows), idle.oldest, idle.event_clock, *known


def epoch_of(clicks: OwnedPartition) -> tuple[object, ...]:
    return len(clicks.line), clicks.is_expected, clicks.position, clicks.committable, clicks.committed_offset


KEPT: tuple[object, ...] = ({b"a": b"row"}, 7, 99, {b"a"}, 3, True, "identity", 4)
NOTHING: tuple[object, ...] = ({}, None, 0, set(), None, False, None, 0)


def test_give_up_ends_the_epoch_and_keeps_the_state_with_who_is_idle() -> None:
    ours, clicks = in_use()
    assert names(ours.give_up(clicks)) == ["third", "second"], "to be undone, newest first"
    assert epoch_of(clicks) == (0, False, None, None, None)
    assert (state(clicks), clicks.answered) == (KEPT, 4)
    assert ours.give_up(clicks) == []


def test_give_up_all_ends_the_epoch_of_changelogs_too() -> None:
    ours, clicks = in_use()
    changelog = ours.of(("log", 0))
    changelog.expect(0, serial=1, epoch=0)
    assert names(ours.give_up_all()) == ["third", "second"]
    assert (changelog.is_expected, epoch_of(clicks)) == (False, (0, False, None, None, None))
    assert not ours.of(("log", 9)).is_current(0), "one that nobody had asked for"


def test_assign_drops_the_state_of_what_is_no_longer_ours_and_nothing_else() -> None:
    ours, clicks = in_use()
    other = ours.clicks(1)
    other.rows[b"b"] = b"row"
    assert ours.assign([1]) == [clicks]
    assert (state(clicks), dict(other.rows)) == (NOTHING, {b"b": b"row"})
    assert clicks.answered == 4, "whoever had it meanwhile answered no less"
    assert (ours.sessions, ours.state_bytes) == (1, 4)


def test_take_over_trusts_nothing_that_was_known_before() -> None:
    _, clicks = in_use()
    clicks.take_over()
    assert (state(clicks), clicks.answered) == (NOTHING, 0)


def test_a_batch_begun_before_the_partition_was_given_up_confirms_nothing() -> None:
    ours, clicks = in_use()
    ours.give_up(clicks)
    assert not clicks.confirm(9, epoch=0)
    assert clicks.answered == 4


def test_rows_of_one_session_in_two_partitions_do_not_touch_each_other() -> None:
    ours = Partitions("clicks")
    first, second = ours.clicks(0), ours.clicks(1)
    first.rows[b"a"], second.rows[b"a"] = b"one", b"second"
    assert (first.rows[b"a"], second.rows[b"a"], ours.sessions) == (b"one", b"second", 2)


@given(st.lists(st.tuples(st.sampled_from([b"a", b"bb", b"ccc"]), st.one_of(st.none(), st.binary(max_size=5)))))
def test_rows_know_their_size_after_any_changes(changes: list[tuple[bytes, bytes | None]]) -> None:
    rows, plain = SessionRows(), dict[bytes, bytes]()
    for key, row in changes:
        if row is None:
            rows.discard(key)
            plain.pop(key, None)
        elif rows.put_new({key: row}):
            plain[key] = row
        else:
            rows[key] = plain[key] = row
    assert rows == plain
    assert rows.bytes == sum(len(key) + len(row) for key, row in plain.items())


def test_waits_over_rewinds_until_a_batch_is_confirmed() -> None:
    """Between a rewind and the next fetch nobody knows the end: that must not look like nothing to do."""
    ours, clicks = in_use()
    clicks.end(cast(Prepared, "second"))
    assert not clicks.waits(None)
    for serial in range(2, 5):
        ours.give_up(clicks)
        assert clicks.waits(None), "given up, with what was begun"
        assert clicks.waits(4), "not read yet"
        clicks.expect(4, serial=serial, epoch=ours.epoch)
        assert clicks.waits(None), "read again, and the end is not known yet"
        assert (clicks.waits(6), clicks.waits(4)) == (True, False)
        clicks.begin(cast(Prepared, serial))
    clicks.confirm(5, epoch=ours.epoch)
    clicks.end(cast(Prepared, 4))
    assert (clicks.waits(None), clicks.waits(5), clicks.waits(6), clicks.finished) == (False, False, True, 2)


def test_is_begun_while_batches_are_on_their_way_or_to_be_read_again_and_not_while_clicks_stand_in_line() -> None:
    clicks = Partitions("clicks").clicks(0)
    assert clicks.is_begun, "not read"
    clicks.expect(0, serial=1, epoch=0)
    clicks.line.extend([FakeRecord(0)])
    assert not clicks.is_begun
    clicks.begun += 1
    assert clicks.is_begun


def test_restored_again_and_again_without_a_confirmed_batch_is_no_progress() -> None:
    ours, clicks = in_use()
    clicks.end(cast(Prepared, "second"))
    assert [clicks.restored(offset) for offset in (5, 9)] == [5, 4]
    for _ in range(3):
        ours.give_up_all()
        clicks.take_over()
        assert [clicks.restored(offset) for offset in (5, 9)] == [0, 0]
    assert clicks.restored(12) == 3
    ours.assign([])
    assert clicks.restored(5) == 5, "another worker had it meanwhile"
    clicks.begin(cast(Prepared, "next"))
    clicks.end(cast(Prepared, "next"))
    assert clicks.restored(5) == 5, "something got through"


class Lifetimes(RuleBasedStateMachine):
    """Any order of what may happen to a partition, against what was said of it last."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = Partitions("clicks")
        self.clicks = self.ours.clicks(0)
        self.serial = self.next = self.answered = 0
        self.open: list[tuple[int, int]] = []  # offset behind each open batch, and its epoch

    @rule(stale=st.booleans())
    def seek(self, stale: bool) -> None:
        epoch = self.ours.epoch - stale
        self.serial += 1
        self.clicks.expect(self.answered, serial=self.serial, epoch=epoch)
        if self.clicks.is_current(epoch) and not self.open:
            self.next = self.answered

    @rule()
    def begin(self) -> None:
        if self.clicks.is_expected and self.next >= self.answered:
            self.next += 1
            self.open.append((self.next, self.ours.epoch))
            self.clicks.begin(cast(Prepared, self.next))

    @rule()
    def confirm(self) -> None:
        if self.open:
            offset, epoch = self.open.pop(0)
            assert self.clicks.confirm(offset, epoch=epoch)
            self.clicks.end(cast(Prepared, offset))
            self.answered = offset

    @rule(every=st.booleans())
    def give_up(self, every: bool) -> None:
        undone = self.ours.give_up_all() if every else self.ours.give_up(self.clicks)
        assert names(undone) == [offset for offset, _ in reversed(self.open)]
        for offset, epoch in self.open:
            assert not self.clicks.confirm(offset, epoch=epoch)
        self.open, self.next = [], self.answered

    @rule()
    def lose(self) -> None:
        self.ours.give_up_all()
        self.ours.assign([])
        self.open, self.next = [], self.answered

    @invariant()
    def never_committable_beyond_what_was_answered(self) -> None:
        assert self.clicks.answered == self.answered
        assert self.clicks.committable in (None, self.answered)


TestLifetimes = Lifetimes.TestCase


def test_skip_of_what_the_log_lost_is_committed_where_nothing_was_begun() -> None:
    clicks = OwnedPartition(CLICKS)
    clicks.expect(3, serial=1, epoch=0)
    clicks.skip(3, 1000)
    assert (clicks.position, clicks.committable) == (1000, 1000)
    assert clicks.accept([FakeRecord(1000)], serial=1)


def test_skip_past_clicks_in_flight_is_not_committed_before_they_are() -> None:
    clicks = OwnedPartition(CLICKS)
    clicks.expect(3, serial=1, epoch=0)
    clicks.accept([FakeRecord(3), FakeRecord(4)], serial=1)
    clicks.skip(5, 1000)
    assert (clicks.position, clicks.committable) == (3, None)
    clicks.stop_reading()
    clicks.skip(3, 1000)
    assert clicks.committable is None, "given up"


def test_where_a_reset_partition_begins_is_told_to_the_group_before_anything_is_answered() -> None:
    ours = Partitions("clicks")
    clicks = ours.clicks(0)
    clicks.is_reset = True
    clicks.begin_anew(0, epoch=0)
    clicks.expect(0, serial=1, epoch=0)
    assert ours.committable() == {CLICKS: 0}
    clicks.begin_anew(9, epoch=0)
    assert ours.committable() == {CLICKS: 0}, "it has begun"


def test_where_any_other_partition_begins_is_no_news_to_the_group() -> None:
    ours = Partitions("clicks")
    ours.clicks(0).begin_anew(7, epoch=0)
    assert ours.committable() == {}
