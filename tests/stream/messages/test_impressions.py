"""Tests of `stream.messages.impressions`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream.errors import BadClick
from stream.messages.impressions import MAX_ITEMS, Impression, decode_impression

NOW = 1_700_000_000_000
GOOD: dict[str, Any] = {"session_id": "s", "items": ["a", "b"], "ts": NOW}


def decode(message: Any, key: bytes | None = b"s") -> Impression:
    return decode_impression(json.dumps(message).encode(), key, NOW)


def test_an_impression_is_read_and_ids_are_those_of_clicks() -> None:
    assert decode(GOOD) == Impression("s", ("a", "b"), NOW)
    assert decode({**GOOD, "session_id": 7, "items": [5, " x "], "more": 1}, b"7") == Impression("7", ("5", "x"), NOW)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"session_id": "s", "ts": NOW}, "missing_items"),
        ({**GOOD, "items": "a"}, "wrong_type_items"),
        ({**GOOD, "items": []}, "no_items"),
        ({**GOOD, "items": ["a"] * (MAX_ITEMS + 1)}, "too_many_items"),
        ({**GOOD, "items": ["a", None]}, "wrong_type_item_id"),
        ({**GOOD, "items": ["a", " "]}, "empty_item_id"),
        ({**GOOD, "ts": "now"}, "wrong_type_ts"),
        ({**GOOD, "ts": NOW + 10**9}, "ts_future"),
        ({"items": ["a"], "ts": NOW}, "missing_session_id"),
        ([1], "not_object"),
    ],
)
def test_what_is_no_impression_has_a_reason(message: Any, reason: str) -> None:
    with pytest.raises(BadClick) as found:
        decode(message)
    assert found.value.reason == reason


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (None, b"s", "value_missing"),
        (b" " * 70_000, b"s", "too_large"),
        (b"{", b"s", "not_json"),
        (json.dumps(GOOD).encode(), b"t", "key_mismatch"),
        (json.dumps(GOOD).encode(), None, "key_missing"),
    ],
)
def test_a_record_that_is_no_impression_has_a_reason(value: bytes | None, key: bytes | None, reason: str) -> None:
    with pytest.raises(BadClick) as found:
        decode_impression(value, key, NOW)
    assert found.value.reason == reason
