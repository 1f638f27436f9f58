"""Tests of export/items/rules.py and json_items.py: what is refused and why, and that the fast path is the slow one."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import BadItem
from export.items import json_items
from export.items.item import Item
from export.items.json_items import JSON_REASONS, MAX_ITEM_BYTES, decode_item, encode_item
from export.items.rules import LAST_TS_MS, REASONS, TABLE_REASONS, judge_item

NOW = 1_790_000_000_000
CASES: list[tuple[Any, str]] = [
    ({}, "missing_item_id"),
    ({"item_id": None}, "wrong_type_item_id"),
    ({"item_id": True}, "wrong_type_item_id"),
    ({"item_id": 1.5}, "wrong_type_item_id"),
    ({"item_id": 2**63}, "out_of_range_item_id"),
    ({"item_id": " NULL "}, "empty_item_id"),
    ({"item_id": "x" * 257}, "too_long_item_id"),
    ({"item_id": "a\nb"}, "control_characters_item_id"),
    ({"item_id": "a", "available": 1}, "wrong_type_available"),
    ({"item_id": "a", "available": "false"}, "wrong_type_available"),
    ({"item_id": "a", "attributes": []}, "wrong_type_attributes"),
    ({"item_id": "a", "attributes": {"b": {"c": 1}}}, "wrong_type_attributes"),
    ({"item_id": "a", "attributes": {"b": [["c"]]}}, "wrong_type_attributes"),
    ({"item_id": "a", "attributes": {" ": "x"}}, "empty_attributes"),
    ({"item_id": "a", "attributes": {"n" * 65: "x"}}, "too_long_attributes"),
    ({"item_id": "a", "attributes": {"n": "é" * 129}}, "too_long_attributes"),
    ({"item_id": "a", "attributes": {"n": "a\u0000b"}}, "control_characters_attributes"),
    ({"item_id": "a", "attributes": {"n\u007f": "b"}}, "control_characters_attributes"),
    ({"item_id": "a", "attributes": {"n": 10**25}}, "out_of_range_attributes"),
    ({"item_id": "a", "attributes": {f"n{n}": "x" for n in range(65)}}, "too_many_attributes"),
    ({"item_id": "a", "attributes": {"n": [str(n) for n in range(257)]}}, "too_many_values"),
    ({"item_id": "a", "price": "3.50"}, "wrong_type_price"),
    ({"item_id": "a", "price": True}, "wrong_type_price"),
    ({"item_id": "a", "price": -0.01}, "out_of_range_price"),
    ({"item_id": "a", "price": 1e13}, "out_of_range_price"),
    ({"item_id": "a", "price": 10**400}, "out_of_range_price"),
    ({"item_id": "a", "boost": 0}, "out_of_range_boost"),
    ({"item_id": "a", "boost": -1}, "out_of_range_boost"),
    ({"item_id": "a", "boost": 1e300}, "out_of_range_boost"),
    ({"item_id": "a", "boost": [1]}, "wrong_type_boost"),
    ({"item_id": "a", "created_ts": 1.0}, "wrong_type_created_ts"),
    ({"item_id": "a", "created_ts": -1}, "out_of_range_created_ts"),
    ({"item_id": "a", "created_ts": LAST_TS_MS + 1}, "out_of_range_created_ts"),
    ({"item_id": "a", "created_ts": NOW // 1000}, "created_ts_seconds"),
    ({"item_id": "", "available": 1, "price": -1}, "empty_item_id"),
    ({"item_id": "a", "price": -1, "attributes": 7}, "wrong_type_attributes"),
]
RAW: list[tuple[bytes, str]] = [
    (b"", "not_json"),
    (b"\xef\xbb\xbf{}", "not_json"),
    (b'{"item_id": "a", "price": NaN}', "not_json"),
    (b'{"item_id": "a", "x": "\xff"}', "not_utf8"),
    (b'"a"', "not_object"),
    (b"[1, 2", "not_json"),
    (b'{"item_id": "a", "x": ' + b"[" * 600 + b"]" * 600 + b"}", "too_deep"),
    (b'{"item_id": "' + b"x" * MAX_ITEM_BYTES + b'"}', "too_large"),
    (b'{"item_id": "a", "price": 1e999}', "out_of_range_price"),
    (b'{"item_id": "a", "boost": 1e999}', "out_of_range_boost"),
    (b'{"item_id": "a", "attributes": {"n": 1e999}}', "out_of_range_attributes"),
    (b'{"item_id": "a", "attributes": [1e999]}', "wrong_type_attributes"),
    (b'{"item_id": "a", "created_ts": {"a": 1e999}}', "wrong_type_created_ts"),
]


@pytest.mark.parametrize(("fields", "reason"), CASES)
def test_item_that_breaks_a_rule_is_refused_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadItem) as refused:
        decode_item(json.dumps(fields).encode())
    assert refused.value.reason == reason
    with pytest.raises(BadItem) as refused:
        judge_item(fields)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("value", "reason"), RAW)
def test_text_that_is_no_item_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    with pytest.raises(BadItem) as refused:
        decode_item(value)
    assert refused.value.reason == reason


def test_every_reason_is_tried_and_in_the_table_of_reasons() -> None:
    tried = {reason for _, reason in [*CASES, *RAW]}
    assert tried == (REASONS | JSON_REASONS) - TABLE_REASONS


def test_values_become_text_as_ids_do() -> None:
    said = {"a": [7, 7.0, "7.0", " x ", None, "", "x"], "b": True, "c": 1.5, "d": "NA", "e": [], "f": None, " g ": "é"}
    item = decode_item(json.dumps({"item_id": 7.0 and " 7.0 ", "attributes": said, "x": [1]}).encode())
    assert item == Item("7", attributes={"a": ("7", "x"), "b": ("true",), "c": ("1.5",), "d": ("NA",), "g": ("é",)})
    assert judge_item({"item_id": 7}).item_id == "7"


def test_null_means_left_out_and_a_field_given_twice_counts_by_its_last_value() -> None:
    names = ["available", "attributes", "price", "boost", "created_ts"]
    assert decode_item(json.dumps({"item_id": "a", **dict.fromkeys(names)}).encode()) == Item("a")
    assert decode_item(b'{"item_id": "a", "price": 1, "price": 2}').price == 2
    assert math.copysign(1, decode_item(b'{"item_id": "a", "price": -0.0}').price or 0.0) == 1


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "item_id": st.text(st.sampled_from("ab7.0 é\n"), max_size=5) | SCALARS,
        "available": st.booleans() | SCALARS,
        "attributes": st.dictionaries(
            st.text(st.sampled_from("ab é\x00"), max_size=3), SCALARS | st.lists(SCALARS, max_size=3), max_size=3
        ),
        "price": st.floats(-1, 10) | SCALARS,
        "boost": st.floats(-1, 10) | SCALARS,
        "created_ts": st.sampled_from([0, NOW, NOW // 1000]) | SCALARS,
        "other": SCALARS,
    },
)


@given(FIELDS)
def test_fast_path_says_what_the_slow_one_says(fields: dict[str, Any]) -> None:
    value = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
    outcomes: list[tuple[Item | None, str | None]] = []
    for way in (decode_item, lambda value: judge_item(json_items._fields(value))):
        try:
            outcomes.append((way(value), None))
        except BadItem as error:
            outcomes.append((None, error.reason))
    assert outcomes[0] == outcomes[1]
    item = outcomes[0][0]
    if item is not None:
        assert decode_item(encode_item(item)) == item
