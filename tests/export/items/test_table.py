"""Tests of export/items/table.py, against a plain dictionary."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import BadItem
from export.items.item import Item
from export.items.table import ItemTable

IDS = [f"i{number}" for number in range(6)]
TEXTS = st.sampled_from(["a", "a/b", "a/b/c", "d", "/x", "e//f"])
ITEMS = st.builds(
    Item,
    item_id=st.sampled_from(IDS),
    available=st.booleans(),
    attributes=st.dictionaries(
        st.sampled_from(["brand", "category_path"]),
        st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(tuple),
        max_size=2,
    ),
    price=st.none() | st.floats(0, 100),
    boost=st.sampled_from([0.5, 1.0, 2.0]),
    created_ts=st.none() | st.integers(0, 10),
)
CHANGES = st.lists(ITEMS | st.sampled_from(IDS), max_size=40)  # an id: that item is gone


def apply(table: ItemTable, change: Item | str) -> bool:
    return table.put(change) if isinstance(change, Item) else table.remove(change)


@given(CHANGES, st.integers(0, 40))
def test_table_after_any_changes_is_what_a_dictionary_is(changes: list[Item | str], seen: int) -> None:
    table, plain, touched = ItemTable(), dict[str, Item | None](), dict[str, int]()
    for change in changes:
        item_id = change.item_id if isinstance(change, Item) else change
        wanted = change if isinstance(change, Item) else None
        is_change = item_id not in plain or plain[item_id] != wanted
        before = table.revision
        assert apply(table, change) == is_change
        assert table.revision == before + is_change
        plain[item_id] = wanted
        if is_change:
            touched[item_id] = table.revision
    there = {item_id: item for item_id, item in plain.items() if item is not None}
    assert {item.item_id: item for item in table} == there
    assert (len(table), table.gone, table.rows) == (len(there), len(plain) - len(there), len(plain))
    assert table.unavailable == sum(not item.available for item in there.values())
    for item_id in [*IDS, "never"]:
        assert table.get(item_id) == plain.get(item_id)
        assert (item_id in table) == (item_id in there)
        assert table.is_gone(item_id) == (item_id in plain and item_id not in there)
    assert sorted(table.changed_since(seen)) == sorted(name for name, revision in touched.items() if revision > seen)


@given(CHANGES, st.none() | st.integers(1, 4))
def test_items_put_all_at_once_are_as_if_put_one_by_one(changes: list[Item | str], most: int | None) -> None:
    """With items gone in between; what finds the table full is refused at its place."""
    one, all_at_once = ItemTable(max_items=most), ItemTable(max_items=most)
    for part in (changes[:20], changes[20:]):
        items = [change for change in part if isinstance(change, Item)]
        refused = []
        for place, item in enumerate(items):
            try:
                one.put(item)
            except BadItem as error:
                refused.append((place, error.reason))
        assert [(place, error.reason) for place, error in all_at_once.put_all(items)] == refused
        gone = [change for change in part if isinstance(change, str)]
        for item_id in gone:
            assert one.remove(item_id) == all_at_once.remove(item_id)
    assert list(one) == list(all_at_once)
    assert one.revision == all_at_once.revision
    for revision in range(one.revision + 1):
        assert one.changed_since(revision) == all_at_once.changed_since(revision)


@given(CHANGES)
def test_changes_beyond_those_remembered_are_found_all_the_same(changes: list[Item | str]) -> None:
    table, short = ItemTable(), ItemTable()
    with pytest.MonkeyPatch.context() as patch:
        for change in changes:
            patch.setattr("export.items.table._REMEMBERED", 131_072)
            apply(table, change)
            patch.setattr("export.items.table._REMEMBERED", 2)
            apply(short, change)
    for revision in range(table.revision + 1):
        assert sorted(short.changed_since(revision)) == sorted(table.changed_since(revision))


@given(CHANGES)
def test_replaced_attributes_leave_no_garbage_for_ever(changes: list[Item | str]) -> None:
    table, plain = ItemTable(), ItemTable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.items.columns._GARBAGE", 0)
        for change in changes:
            apply(table, change)
    for change in changes:
        apply(plain, change)
    assert list(table) == list(plain)


def test_table_that_is_full_refuses_new_items_and_keeps_taking_the_others() -> None:
    table = ItemTable(max_items=2)
    table.put(Item("a"))
    table.put(Item("b"))
    with pytest.raises(BadItem) as refused:
        table.put(Item("c"))
    assert refused.value.reason == "too_many_items"
    assert table.get("c") is None
    assert table.put(Item("a", available=False))
    assert table.remove("b")
    assert table.put(Item("c"))


def test_values_that_no_item_has_any_more_make_room_for_others() -> None:
    table = ItemTable(max_values=3)
    for number in range(50):
        table.put(Item("a", attributes={"stock": (f"s{number}",), "brand": ("x",)}))
    assert len(table.values) <= 3
    assert table.get("a") == Item("a", attributes={"stock": ("s49",), "brand": ("x",)})
    with pytest.raises(BadItem) as refused:
        table.put(Item("b", attributes={"size": ("1", "2", "3")}))
    assert refused.value.reason == "too_many_different_values"
    assert table.get("b") is None
    assert table.put(Item("b", attributes={"brand": ("x",)}))


def test_items_gone_beyond_the_bound_are_forgotten_oldest_first() -> None:
    table = ItemTable(max_items=4)
    table.put(Item("kept", attributes={"brand": ("x",)}, price=2.0))
    for number in range(5):
        table.put(Item(f"g{number}"))
        table.remove(f"g{number}")
    assert (table.gone, table.forgotten, table.rows) == (2, 3, 3)
    assert [table.is_gone(f"g{number}") for number in range(5)] == [False, False, False, True, True]
    assert list(table) == [Item("kept", attributes={"brand": ("x",)}, price=2.0)]
    assert table.generation == 1


def test_readers_beside_a_writer_see_whole_items() -> None:
    table = ItemTable()
    pair: list[dict[str, Any]] = [
        {"price": 1.0, "attributes": {"n": ("one",)}},
        {"price": 2.0, "attributes": {"n": ("two", "2")}},
    ]
    table.put(Item("a", **pair[0]))
    done = threading.Event()

    def write() -> None:
        for number in range(4_000):
            table.put(Item("a", **pair[number % 2]))
            table.put(Item(f"other-{number}", attributes={"n": (f"v{number}",)}))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        found = table.get("a")
        assert found in [Item("a", **kind) for kind in pair]
        changes = table.changes(max(0, table.revision - 10))
        assert len(changes.keys) == changes.lengths.sum()
        assert np.isfinite(changes.boost).all()
    thread.join()
    assert len(table) == 4_001
