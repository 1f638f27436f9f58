"""Tests of stream/messages/items.py: keys and tombstones; what the fields may be is tested in tests/export/items."""

import json
from typing import Any

import pytest
from hypothesis import given

from export.errors import BadItem
from export.items.item import Item
from export.items.rules import TABLE_REASONS
from stream.messages.items import MESSAGE_REASONS, decode_item_message, encode_item, item_key
from stream.messages.schema import schema_text
from tests.export.items.test_rules import CASES, FIELDS, RAW

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra dev")
SCHEMA = json.loads(schema_text("item"))
SOUND = b'{"item_id": "7"}'
KEYS: list[tuple[bytes | None, bytes | None, str]] = [
    (SOUND, None, "key_missing"),
    (SOUND, b"", "key_missing"),
    (None, None, "key_missing"),
    (SOUND, b"8", "key_mismatch"),
    (b"{}", b"7", "missing_item_id"),
    (b"", b"7", "not_json"),
    (None, b"null", "wrong_key"),
    (None, b"\xff", "wrong_key"),
    (None, b"x" * 257, "wrong_key"),
]


@pytest.mark.parametrize(("value", "key", "reason"), KEYS)
def test_message_that_breaks_a_rule_of_keys_is_refused(value: bytes | None, key: bytes | None, reason: str) -> None:
    with pytest.raises(BadItem) as refused:
        decode_item_message(value, key)
    assert refused.value.reason == reason


def test_every_reason_of_messages_is_tried_somewhere() -> None:
    tried = {reason for _, reason in [*CASES, *RAW]} | {reason for _, _, reason in KEYS}
    assert tried == MESSAGE_REASONS - TABLE_REASONS


@pytest.mark.parametrize("key", [b"7", b" 7 ", b"7.0"])
def test_key_is_read_by_the_law_of_ids_and_without_value_the_item_is_gone(key: bytes) -> None:
    assert decode_item_message(SOUND, key) == Item("7")
    assert decode_item_message(None, key) == "7"
    assert decode_item_message(encode_item(Item("é", price=1.5)), item_key("é")) == Item("é", price=1.5)


@given(FIELDS)
def test_schema_takes_every_item_that_the_decoder_takes(fields: dict[str, Any]) -> None:
    value = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        decode_item_message(value, str(fields.get("item_id")).encode("utf-8", "surrogatepass"))
    except BadItem:
        return
    jsonschema.validate(json.loads(value), SCHEMA)
