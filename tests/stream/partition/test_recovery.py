"""Rows of the changelog, back into the store."""

from hypothesis import given
from hypothesis import strategies as st

from stream.messages.contract import Click
from stream.partition.erased import ErasedSessions, Mark, mark_headers
from stream.partition.expiry import Expired, tombstone_headers
from stream.partition.recovery import restore_rows
from stream.partition.rows import SessionRows
from stream.partition.session import encode_state, fold_click
from tests.stream.records import TS, FakeRecord


def row(offset: int) -> bytes:
    return encode_state(fold_click(None, Click("a", f"i{offset}", TS), offset))


def test_restore_rows_keeps_the_newest_row_of_a_session() -> None:
    store, stale = SessionRows(), set[bytes]()
    rows = [FakeRecord(0, b"a", row(1)), FakeRecord(1, b"a", row(2)), FakeRecord(2, b"b", row(0))]
    assert restore_rows(store, rows, stale) == 0
    assert store == {b"a": row(2), b"b": row(0)}
    assert not stale


def test_restore_rows_of_a_zombie_behind_the_new_owners_are_skipped_and_stale() -> None:
    store, stale = SessionRows(), set[bytes]()
    assert restore_rows(store, [FakeRecord(0, b"a", row(5)), FakeRecord(1, b"a", row(3))], stale) == 1
    assert store == {b"a": row(5)}
    assert stale == {b"a"}


def test_restore_rows_of_a_zombie_before_a_newer_row_of_the_owner_are_not_stale() -> None:
    store, stale = SessionRows(), set[bytes]()
    rows = [FakeRecord(0, b"a", row(5)), FakeRecord(1, b"a", row(3))]
    assert restore_rows(store, rows, stale) == 1
    assert restore_rows(store, [FakeRecord(2, b"a", row(6))], stale) == 0
    assert store == {b"a": row(6)}
    assert not stale


def test_restore_rows_without_a_value_deletes_the_session() -> None:
    store, stale = SessionRows({b"a": row(1)}), {b"a"}
    restore_rows(store, [FakeRecord(0, b"a", None), FakeRecord(1, None, b"ignored")], stale)
    assert store == {}
    assert not stale


def test_restore_rows_tombstone_of_a_zombie_behind_the_new_owners_row_is_skipped() -> None:
    store = SessionRows()
    tombstone = FakeRecord(1, b"a", None, headers=tombstone_headers(Expired(b"a", 3)))
    stale: set[bytes] = set()
    assert restore_rows(store, [FakeRecord(0, b"a", row(5)), tombstone], stale) == 1
    assert (dict(store), stale) == ({b"a": row(5)}, {b"a"})
    assert restore_rows(store, [FakeRecord(2, b"a", None, headers=tombstone_headers(Expired(b"a", 5)))], set()) == 0
    assert store == {}


def test_restore_rows_tombstone_of_a_reset_takes_the_mark_of_an_erase_back() -> None:
    store, stale, erased = SessionRows(), set[bytes](), ErasedSessions()
    erase = FakeRecord(0, b"a", None, headers=mark_headers(Mark(1000, TS)))
    assert restore_rows(store, [erase, FakeRecord(1, b"a", row(3))], stale, erased) == 1, "it was erased up to there"
    assert restore_rows(store, [FakeRecord(2, b"a", None), FakeRecord(3, b"a", row(3))], stale, erased) == 0
    assert (dict(store), list(erased), erased.take_restored()) == ({b"a": row(3)}, [], [])


def test_restore_rows_twice_gives_the_same_store() -> None:
    store, records, stale = SessionRows(), [FakeRecord(n, b"a", row(n)) for n in range(5)], set[bytes]()
    restore_rows(store, records, stale)
    restore_rows(store, records[2:], stale)
    assert store == {b"a": row(4)}
    assert not stale


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 9)), max_size=30), st.integers(0, 30))
def test_restore_rows_in_any_order_stale_are_those_that_compaction_would_get_wrong(
    written: list[tuple[bytes, int]], cut: int
) -> None:
    store, stale = SessionRows(), set[bytes]()
    records = [FakeRecord(place, key, row(offset)) for place, (key, offset) in enumerate(written)]
    restore_rows(store, records[:cut], stale)
    restore_rows(store, records[cut:], stale)
    newest = {key: max(offset for name, offset in written if name == key) for key, _ in written}
    kept = dict(written)
    assert store == {key: row(offset) for key, offset in newest.items()}
    assert stale == {key for key in kept if kept[key] != newest[key]}
