"""Clicks and lists in Confluent's wire format: read by the schema of their writer, written by the one of the topic."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import pytest

from bench.rig.schema_registry import RegistryServer
from export.errors import ConfigError
from stream.errors import BadClick, SchemaRegistryAway, SchemaRegistryRefused
from stream.formats.values import Values
from stream.messages.contract import Click, Erase, encode
from tests.stream.formats.conftest import FIELDS, LIST, NOW, framed, record, values_by


def read(values: Values, value: bytes, key: bytes = b"s") -> Click | Erase:
    number = values.missing("clicks", value)
    if number is not None:
        values.fetch("clicks", number)
    return values.event(value, key, NOW)


def reason_of(values: Values, value: bytes, key: bytes = b"s") -> str:
    with pytest.raises(BadClick) as caught:
        read(values, value, key)
    return f"{caught.value.reason}: {caught.value.detail}"


@pytest.mark.parametrize(
    ("fields", "content", "expected"),
    [
        (FIELDS, {}, Click("s", "i", NOW)),
        ([*FIELDS, {"name": "price", "type": "double"}], {"price": 1.5}, Click("s", "i", NOW)),
        (
            [*FIELDS, {"name": "type", "type": {"type": "enum", "name": "T", "symbols": ["click", "cart"]}}],
            {"type": "cart"},
            Click("s", "i", NOW, "cart"),
        ),
        ([*FIELDS, {"name": "user_id", "type": ["null", "string"]}], {"user_id": None}, Click("s", "i", NOW)),
        ([*FIELDS, {"name": "user_id", "type": ["null", "long"]}], {"user_id": 7}, Click("s", "i", NOW, user_id="7")),
        (
            [*FIELDS[:2], {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}],
            {},
            Click("s", "i", NOW),
        ),
        (
            [*FIELDS[:2], {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}}],
            {"ts": NOW * 1000 + 999},
            Click("s", "i", NOW),
        ),
        (
            [*FIELDS, {"name": "context", "type": ["null", {"type": "map", "values": "string"}]}],
            {"context": {"page": "home"}},
            Click("s", "i", NOW, context={"page": "home"}),
        ),
        ([FIELDS[0], FIELDS[2], {"name": "type", "type": "string"}], {"type": "erase"}, Erase("s", NOW)),
    ],
)
def test_a_click_is_read_by_whatever_schema_its_writer_had(
    schemas: RegistryServer, fields: list[dict[str, Any]], content: dict[str, Any], expected: Click | Erase
) -> None:
    schema = record(*fields)
    value = framed(schemas.add(schema), schema, {"session_id": "s", "item_id": "i", "ts": NOW, **content})
    assert read(values_by(schemas, "json"), value) == expected


def test_schemas_are_fetched_once_and_old_and_new_ones_are_read_side_by_side(schemas: RegistryServer) -> None:
    old, new = record(*FIELDS), record(*FIELDS, {"name": "type", "type": "string", "default": "click"})
    numbers, values = [schemas.add(one, subject="clicks-value") for one in (old, new)], values_by(schemas)
    content = {"session_id": "s", "item_id": "i", "ts": NOW, "type": "order"}
    for _ in range(3):
        assert read(values, framed(numbers[0], old, content)) == Click("s", "i", NOW)
        assert read(values, framed(numbers[1], new, content)) == Click("s", "i", NOW, "order")
    assert len(schemas.asked) == 2


def test_a_schema_may_refer_to_others(schemas: RegistryServer) -> None:
    item = {"type": "record", "name": "Item", "namespace": "shop", "fields": [{"name": "id", "type": "string"}]}
    schemas.add(item, subject="item")
    schema = record(*FIELDS, {"name": "item", "type": "shop.Item"})
    number = schemas.add(schema, references=[{"name": "shop.Item", "subject": "item", "version": 1}])
    whole = record(*FIELDS, {"name": "item", "type": item})
    value = framed(number, whole, {"session_id": "s", "item_id": "i", "ts": NOW, "item": {"id": "i"}})
    assert read(values_by(schemas), value) == Click("s", "i", NOW)


def test_json_schema_and_plain_json_are_read_too(schemas: RegistryServer) -> None:
    value = encode(Click("s", "i", NOW, "like"))
    number, values = schemas.add({"type": "object"}, "JSON"), values_by(schemas)
    assert (
        read(values, b"\0" + number.to_bytes(4, "big") + value) == read(values, value) == Click("s", "i", NOW, "like")
    )


def test_what_breaks_a_rule_breaks_it_in_every_format(schemas: RegistryServer) -> None:
    schema = record(*FIELDS)
    number, values = schemas.add(schema), values_by(schemas)
    sound = {"session_id": "s", "item_id": "i", "ts": NOW}
    assert reason_of(values, framed(number, schema, {**sound, "item_id": " "})).startswith("empty_item_id")
    assert reason_of(values, framed(number, schema, {**sound, "ts": NOW // 1000})).startswith("ts_seconds")
    assert reason_of(values, framed(number, schema, sound), b"t").startswith("key_mismatch")
    assert reason_of(values, b"\0" * (64 * 1024 + 1)).startswith("too_large")
    ids = record({"name": "session_id", "type": "string"}, {"name": "item_id", "type": "bytes"}, FIELDS[2])
    bytes_ = framed(schemas.add(ids), ids, {**sound, "item_id": b"i"})
    assert reason_of(values, bytes_) == "wrong_type_item_id: item_id must be a string or an integer, is bytes"


def test_what_cannot_be_decoded_is_rejected_with_the_reason(schemas: RegistryServer) -> None:
    schema = record(*FIELDS)
    number, values = schemas.add(schema), values_by(schemas)
    value = framed(number, schema, {"session_id": "s", "item_id": "i", "ts": NOW})
    assert reason_of(values, value[:-1]) == f"undecodable: it does not fit schema {number}"
    assert reason_of(values, value + b"x") == f"undecodable: it does not fit schema {number}"
    assert reason_of(values, b"\0\0\1") == "undecodable: it is shorter than a header"
    assert reason_of(values, b"\0\0\0\0\x63" + value[5:]) == "undecodable: the schema registry knows no schema 99"
    protobuf = schemas.add("syntax = 'proto3';", "PROTOBUF").to_bytes(4, "big")
    assert "is PROTOBUF, which nextclick does not read" in reason_of(values, b"\0" + protobuf + value)
    broken = schemas.add({"type": "nothing"}).to_bytes(4, "big")
    assert reason_of(values, b"\0" + broken + value).startswith("undecodable: ")


def test_a_number_that_is_no_schemas_is_asked_for_once_in_a_while(schemas: RegistryServer) -> None:
    values, asked = values_by(schemas), 0
    for _ in range(5):
        assert reason_of(values, b"\0\0\0\0\x63abc").startswith("undecodable")
        asked = len(schemas.asked)
    assert asked == 1


@pytest.mark.waits
def test_a_registry_that_is_away_decides_nothing(schemas: RegistryServer) -> None:
    schema = record(*FIELDS)
    number, values = schemas.add(schema), values_by(schemas)
    value = framed(number, schema, {"session_id": "s", "item_id": "i", "ts": NOW})
    schemas.away = True
    with pytest.raises(SchemaRegistryAway, match="503"):
        values.fetch("clicks", number)
    assert values.missing("clicks", value) == number
    schemas.away = False
    assert read(values, value) == Click("s", "i", NOW)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        schemas.url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    with pytest.raises(SchemaRegistryAway, match="does not answer"):
        values_by(schemas).fetch("clicks", number)


def test_a_registry_asks_for_a_password(schemas: RegistryServer) -> None:
    schemas.password = "shop:secret"
    with pytest.raises(SchemaRegistryRefused, match=r"basic\.auth\.user\.info") as caught:
        values_by(schemas).prepare("recommendations")
    assert "secret" not in str(caught.value)
    values_by(schemas, auth="shop:secret").prepare("recommendations")


@pytest.mark.parametrize("form", ["avro", "json-schema"])
def test_lists_are_written_with_our_schema_and_read_again_as_they_were(schemas: RegistryServer, form: Any) -> None:
    values = values_by(schemas, form)
    written = values.from_json("recommendations", encode(LIST))
    assert written[:5] == b"\0\0\0\0\1"
    assert schemas.subjects == {"recommendations-value": [1]}
    reader = values_by(schemas, "json")
    reader.fetch("recommendations", 1)
    assert reader.to_json("recommendations", written) == encode(LIST)
    values_by(schemas, form).prepare("recommendations")
    assert len(schemas.schemas) == 1  # the one that is there is taken


def test_our_clicks_are_written_with_the_shops_schema_where_there_is_one(schemas: RegistryServer) -> None:
    schema = record(*FIELDS, {"name": "shop", "type": "string", "default": "eu"})
    number = schemas.add(schema, subject="clicks-value")
    values = values_by(schemas)
    written = values.from_json("clicks", encode(Click("s", "i", NOW, "skip")))
    assert written == framed(number, schema, {"session_id": "s", "item_id": "i", "ts": NOW, "shop": "eu"})
    assert schemas.subjects == {"clicks-value": [number]}


@pytest.mark.parametrize("form", ["avro", "json-schema"])
@pytest.mark.parametrize(
    "event",
    [Click("s", "i", NOW, "order", "u", {"page": "home", "n": 1, "no": None}), Click("s", "i", NOW), Erase("s", NOW)],
)
def test_our_clicks_are_written_with_ours_where_there_is_none(
    schemas: RegistryServer, form: Any, event: Click | Erase
) -> None:
    values = values_by(schemas, form)
    assert read(values, values.from_json("clicks", encode(event))) == event


def test_ids_that_are_numbers_and_deep_contexts_are_written_as_text(schemas: RegistryServer) -> None:
    values = values_by(schemas)
    content = {"session_id": 7, "item_id": 8, "ts": NOW, "context": {"cart": [1, {"a": 2}], "page": "home"}}
    found = read(values, values.from_json("clicks", json.dumps(content).encode()), b"7")
    assert found == Click("7", "8", NOW, context={"cart": '[1, {"a": 2}]', "page": "home"})


def test_a_schema_that_does_not_take_our_clicks_is_refused_before_the_first(schemas: RegistryServer) -> None:
    schemas.add(record(*FIELDS, {"name": "shop", "type": "string"}), subject="clicks-value")
    with pytest.raises(ConfigError, match=r"does not take the clicks of nextclick itself .* default"):
        values_by(schemas).prepare("clicks")


def test_a_registry_that_does_not_take_our_schema_is_told_before_the_first_list(schemas: RegistryServer) -> None:
    schemas.add(record({"name": "other", "type": "string"}), subject="recommendations-value")
    with pytest.raises(ConfigError, match=r"recommendations-value.*incompatible"):
        values_by(schemas).prepare("recommendations")
