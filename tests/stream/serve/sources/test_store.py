"""The newest list of each session: which one that is, and what goes first."""

import hypothesis.strategies as st
from hypothesis import given

from stream.serve.sources.similar import SimilarStore
from stream.serve.sources.store import ListStore, Newest, list_key

MB = 1 << 20


def newest(
    offset: int, published_ms: int = 0, partition: int = 0, until: float = 100.0, value: bytes = b"{}"
) -> Newest:
    return Newest(value, partition, offset, published_ms, until)


def test_list_of_a_later_click_wins_whatever_the_clocks_say() -> None:
    store = ListStore(MB)
    assert store.put("s", "", newest(5, published_ms=900))
    assert store.put("s", "", newest(6, published_ms=100))
    assert not store.put("s", "", newest(5, published_ms=50)), "a repeat of an older list"
    assert store.outdated == 1
    held = store.get("s", "", 0.0)
    assert held is not None
    assert held.offset == 6


def test_list_of_another_partition_wins_where_it_was_published_later() -> None:
    store = ListStore(MB)
    store.put("s", "", newest(500, published_ms=10, partition=1))
    assert not store.put("s", "", newest(900, published_ms=9, partition=2))
    assert store.put("s", "", newest(3, published_ms=11, partition=2))


def test_placements_are_kept_apart_told_and_erased_together() -> None:
    store = ListStore(MB)
    for placement in ("home", "basket"):
        store.put(list_key("s", placement), placement, newest(1))
    store.put("other", "", newest(1))
    assert store.get("s", "", 0.0) is None
    assert store.placements("s", 0.0) == ["home", "basket"]
    assert (store.erase("s"), store.erase("s")) == (2, 0)
    assert store.placements("s", 0.0) == []
    assert (len(store), store.erased) == (1, 2)


def test_erased_session_has_no_list_of_before_however_late_it_comes() -> None:
    store = ListStore(MB)
    store.put("s", "", newest(5))
    store.put(list_key("s", "home"), "home", newest(9))
    assert store.erase("s", (0, 7), until=50.0) == 1, "the list of a later click stays"
    assert store.placements("s", 0.0) == ["home"]
    assert not store.put("s", "", newest(6, published_ms=999)), "of a worker that has lost the partition"
    assert not store.put(list_key("s", "new"), "new", newest(7))
    assert store.put("s", "", newest(8))
    assert store.put("t", "", newest(1))
    assert store.outdated == 2
    store.sweep(51.0)
    assert store.put("s", "", newest(6, published_ms=999, partition=1))


def test_list_whose_time_is_over_is_not_served_and_goes() -> None:
    store = ListStore(MB)
    store.put("s", "", newest(1, until=10.0))
    store.put("t", "", newest(1, until=20.0))
    assert store.get("s", "", 10.0) is None
    store.sweep(15.0)
    assert (len(store), store.expired) == (1, 1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30), st.integers(0, 900)), max_size=60))
def test_size_is_that_of_what_is_held_and_never_above_the_most(puts: list[tuple[str, int, int]]) -> None:
    store, empty = ListStore(3_000), ListStore(MB)
    for session, offset, length in puts:
        store.put(session, "", newest(offset, value=b"x" * length))
        empty.put(session, "", newest(offset, value=b"x" * length))
        assert store.size <= 3_000
    for session in "abcdef":
        empty.erase(session)
    assert empty.size == 0


def test_similar_items_beyond_the_most_are_counted_and_tombstones_make_room() -> None:
    store = SimilarStore(1_000)
    store.put("a", b"x" * 400)
    store.put("b", b"x" * 400)
    assert (store.get("a"), len(store), store.evicted) == (None, 1, 1)
    store.put("b", None)
    assert (len(store), store.size) == (0, 0)
