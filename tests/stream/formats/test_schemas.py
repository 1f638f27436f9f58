"""The schemas that are registered follow from the contract, and are what is published."""

from __future__ import annotations

import json
from pathlib import Path

import fastavro
import pytest

from stream.formats.schemas import avro_schema, registered_schema
from stream.messages.contract import Click, Erase, Recommendation, Source, encode, recommended

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the extra dev")
PUBLISHED = Path(__file__).parents[3] / "docs" / "schema"


@pytest.mark.parametrize("name", ["click", "recommendation"])
def test_what_is_published_is_that_of_the_code(name: str) -> None:
    found = json.loads((PUBLISHED / f"{name}.avsc").read_text())
    assert found == avro_schema(name), "stale: run `python -m stream.formats.schemas docs/schema`"
    fastavro.parse_schema(found)


def test_fields_without_a_default_are_those_that_a_message_always_has() -> None:
    needed = {name: [one["name"] for one in avro_schema(name)["fields"] if "default" not in one] for name in NAMES}
    assert needed["click"] == ["session_id", "ts"]  # an erase has no item
    assert needed["recommendation"] == [*Recommendation.__struct_fields__[:8]]


NAMES = ("click", "recommendation")


def test_json_schema_takes_messages_and_nothing_else() -> None:
    click, list_ = (json.loads(registered_schema(name, "JSON")) for name in NAMES)
    for event in (Click("s", "i", 1_700_000_000_000, "cart"), Erase("s", 1_700_000_000_000)):
        jsonschema.Draft7Validator(click).validate(json.loads(encode(event)))
    sent = Recommendation("s", recommended([("a", 1.0)]), "1", "default", False, Source("clicks", 0, 1), 1, 2)
    jsonschema.Draft7Validator(list_).validate(json.loads(encode(sent)))
    for schema in (click, list_):
        jsonschema.Draft7Validator.check_schema(schema)
        assert not jsonschema.Draft7Validator(schema).is_valid({"session_id": "s"})
