"""Tests of export/items/view.py: after any changes it is what a view made anew is, and what plain dictionaries say."""

import contextlib
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bundle.vocabulary import Vocabulary
from export.errors import BadItem
from export.items.item import Item
from export.items.table import ItemTable
from export.items.values import prefixes
from export.items.view import CatalogueView
from tests.export.items.test_table import CHANGES, IDS, apply

ATTRIBUTES = ["brand", "category_path", "never"]
VOCABULARY = Vocabulary(["i4", "i0", "elsewhere", "i2"])


def assert_same(view: CatalogueView, other: CatalogueView) -> None:
    assert view.revision == other.revision
    assert view.fresh == other.fresh
    for name in ("available", "log_boost", "price", "created"):
        np.testing.assert_array_equal(getattr(view, name), getattr(other, name))
    for attribute in ATTRIBUTES:
        assert texts_of(view, attribute) == texts_of(other, attribute)


def texts_of(view: CatalogueView, attribute: str) -> list[set[str]]:
    """The values of each catalogue id, read in each of the ways there are."""
    single = [view.codes_of(attribute, item).tolist() for item in range(len(view.vocabulary) + 1)]
    count = max((code for codes in single for code in codes), default=0) + 2
    inverse: list[set[int]] = [set() for _ in single]
    for code in range(count):
        for item in view.holders(attribute, code).tolist():
            inverse[item].add(code)
    offsets, values = view.codes(attribute)
    rows = [values[start:end].tolist() for start, end in pairwise(offsets)]
    assert single == rows == [sorted(codes) for codes in inverse]
    texts = [{view.value_text(attribute, code) for code in codes} for codes in rows]
    assert [[view.value_code(attribute, text) for text in each] for each in texts] == [
        [code for text in each for code in codes if view.value_text(attribute, code) == text]
        for each, codes in zip(texts, rows, strict=True)
    ]
    return texts


def assert_told(view: CatalogueView, plain: dict[str, Item | None]) -> None:
    """Against a dictionary of what was said last; None: gone."""
    assert not view.available[0]
    for place, item_id in enumerate(view.vocabulary.items, 1):
        item = plain.get(item_id)
        known = item_id in plain
        assert view.available[place] == (item.available if item else not known and not view.require)
        item = item or Item(item_id)
        assert view.log_boost[place] == np.float32(math.log(item.boost))
        assert view.created[place] == (item.created_ts or 0)
        assert view.price[place] == np.float32(item.price) if item.price is not None else np.isnan(view.price[place])
        for attribute in ATTRIBUTES:
            said = item.attributes.get(attribute, ())
            wanted = {*said, *(part for text in said for part in prefixes(text) if attribute == "category_path")}
            assert {view.value_text(attribute, code) for code in view.codes_of(attribute, place).tolist()} == wanted
    assert sorted(view.fresh) == sorted(name for name, item in plain.items() if item and name not in view.vocabulary)


@given(st.lists(CHANGES, max_size=4), st.booleans(), st.booleans(), st.sampled_from([0, 1, 2_048]))
def test_view_after_any_changes_is_one_made_anew(
    rounds: list[list[Item | str]], require: bool, read_between: bool, few: int
) -> None:
    table, plain = ItemTable(), dict[str, Item | None]()
    view = CatalogueView(table, VOCABULARY, require=require)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.items.view._FEW", few)
        for changes in rounds:
            for change in changes:
                apply(table, change)
                plain[change.item_id if isinstance(change, Item) else change] = (
                    change if isinstance(change, Item) else None
                )
            if read_between:
                view.refresh()
                assert_told(view, plain)
        view.refresh()
        assert not view.refresh()
        assert_told(view, plain)
        assert_same(view, CatalogueView(table, VOCABULARY, require=require))


@given(CHANGES, CHANGES)
def test_view_of_a_full_table_survives_that_rows_and_codes_are_numbered_anew(
    first: list[Item | str], then: list[Item | str]
) -> None:
    table = ItemTable(max_items=len(IDS) // 2 + 1, max_values=8)
    view = CatalogueView(table, VOCABULARY)
    for changes in first, then:
        for change in changes:
            with contextlib.suppress(BadItem):
                apply(table, change)
        view.refresh()
        assert_same(view, CatalogueView(table, VOCABULARY))


def test_arrays_are_read_only_and_live() -> None:
    table = ItemTable()
    view = CatalogueView(table, VOCABULARY)
    available = view.available
    with pytest.raises(ValueError, match="read-only"):
        available[1] = False
    table.put(Item("i4", available=False))
    assert available[1]  # not before the refresh
    assert view.refresh()
    assert not available[1]


def test_holders_are_kept_until_one_of_them_changes() -> None:
    table = ItemTable()
    table.put(Item("i0", attributes={"brand": ("x",)}))
    table.put(Item("i2", attributes={"brand": ("y",)}))
    view = CatalogueView(table, VOCABULARY)
    codes = [view.value_code("brand", text) for text in "xy"]
    assert codes == [0, 1]
    x, y = view.holders("brand", 0), view.holders("brand", 1)
    table.put(Item("i2", available=False, attributes={"brand": ("y",)}))
    table.put(Item("i4", attributes={"brand": ("y",)}))
    view.refresh()
    assert view.holders("brand", 0) is x
    assert y.tolist() == [4]
    assert view.holders("brand", 1).tolist() == [1, 4]
