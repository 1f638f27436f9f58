"""Rows of the changelog, back into the store."""

from stream.contract import Click
from stream.expiry import Expired, tombstone_headers
from stream.recovery import restore_rows
from stream.session import encode_state, fold_click
from tests.stream.records import TS, FakeRecord, FakeStore


def row(offset: int) -> bytes:
    return encode_state(fold_click(None, Click("a", f"i{offset}", TS), offset))


def test_restore_rows_keeps_the_newest_row_of_a_session() -> None:
    store = FakeStore()
    restore_rows(store, [FakeRecord(0, b"a", row(1)), FakeRecord(1, b"a", row(2)), FakeRecord(2, b"b", row(0))], 0)
    assert store == {b"a": row(2), b"b": row(0)}


def test_restore_rows_of_a_zombie_behind_the_new_owners_are_skipped() -> None:
    store = FakeStore()
    assert restore_rows(store, [FakeRecord(0, b"a", row(5)), FakeRecord(1, b"a", row(3))], 0) == 1
    assert store == {b"a": row(5)}


def test_restore_rows_without_a_value_deletes_the_session() -> None:
    store = FakeStore({b"a": row(1)})
    restore_rows(store, [FakeRecord(0, b"a", None), FakeRecord(1, None, b"ignored")], 0)
    assert store == {}


def test_restore_rows_tombstone_of_a_zombie_behind_the_new_owners_row_is_skipped() -> None:
    store = FakeStore()
    tombstone = FakeRecord(1, b"a", None, headers=tombstone_headers(Expired(b"a", 3)))
    assert restore_rows(store, [FakeRecord(0, b"a", row(5)), tombstone], 0) == 1
    assert store == {b"a": row(5)}
    assert restore_rows(store, [FakeRecord(2, b"a", None, headers=tombstone_headers(Expired(b"a", 5)))], 0) == 0
    assert store == {}


def test_restore_rows_twice_gives_the_same_store() -> None:
    store, records = FakeStore(), [FakeRecord(n, b"a", row(n)) for n in range(5)]
    restore_rows(store, records, 0)
    restore_rows(store, records[2:], 0)
    assert store == {b"a": row(4)}
