"""JSON Schema of the messages, written from their types: `python -m stream.messages.schema docs/schema`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from export.experiments.experiment import Experiment
from export.ids import ID_SCHEMA_PATTERN, MAX_ID_BYTES
from export.items import rules
from stream.messages.click_rules import LAST_TS_MS, SECONDS, TYPES
from stream.messages.contract import Click, Erase, ModelAnnouncement, Recommendation
from stream.messages.erasures import ErasedLists, Erasure
from stream.messages.impressions import MAX_ITEMS, Impression
from stream.messages.items import ItemMessage
from stream.messages.similar import SimilarItems

__all__ = ["SCHEMAS", "schema_components", "schema_text", "write_schemas"]

SCHEMAS: dict[str, type[msgspec.Struct]] = {
    "click": Click,
    "erase": Erase,
    "recommendation": Recommendation,
    "model-announcement": ModelAnnouncement,
    "experiment-announcement": Experiment,
    "item": ItemMessage,
    "similar-items": SimilarItems,
    "impression": Impression,
    "erased-lists": ErasedLists,
    "erasure": Erasure,
}
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ID: dict[str, Any] = {
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": MAX_ID_BYTES,
    "pattern": ID_SCHEMA_PATTERN,
    "not": {"type": "string", "pattern": r"[\u0000-\u001f\u007f-\u009f]"},  # `$` is not the same to all readers
    "minimum": -(2**63),
    "maximum": 2**63 - 1,
}
_TS: dict[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "maximum": LAST_TS_MS,
    "not": {"minimum": SECONDS.start, "exclusiveMaximum": SECONDS.stop},
}
_ACCEPTED: dict[str, dict[str, Any]] = {  # what decode_click takes beyond, or short of, the types of a Click
    "session_id": _ID,
    "item_id": _ID,
    "user_id": {**_ID, "type": ["string", "integer", "null"]},
    "ts": _TS,
    "type": {"type": "string", "enum": list(TYPES)},
    "context": {"type": ["object", "null"]},
}
_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"], "maxLength": rules.MAX_TEXT_BYTES}
_ACCEPTED_ITEM: dict[str, dict[str, Any]] = {  # the same of an ItemMessage
    "item_id": _ID,
    "available": {"type": ["boolean", "null"]},
    "attributes": {
        "type": ["object", "null"],
        "maxProperties": rules.MAX_ATTRIBUTES,
        "propertyNames": {"minLength": 1, "maxLength": rules.MAX_NAME_BYTES},
        "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
    },
    "price": {"type": ["number", "null"], "minimum": 0, "maximum": rules.MAX_PRICE},
    "boost": {"type": ["number", "null"], "minimum": rules.MIN_BOOST, "maximum": rules.MAX_BOOST},
    "created_ts": {**_TS, "type": ["integer", "null"]},
}
_ACCEPTED_IMPRESSION: dict[str, dict[str, Any]] = {
    "session_id": _ID,
    "items": {"type": "array", "items": _ID, "minItems": 1, "maxItems": MAX_ITEMS},
    "ts": _TS,
}
_ACCEPTED_ERASE: dict[str, dict[str, Any]] = {"session_id": _ID, "ts": _TS}
_NARROWED = {
    "Click": _ACCEPTED,
    "Erase": _ACCEPTED_ERASE,
    "ItemMessage": _ACCEPTED_ITEM,
    "Impression": _ACCEPTED_IMPRESSION,
}


def schema_components(names: Iterable[str], place: str) -> tuple[list[Any], dict[str, Any]]:
    """A reference to each of some of SCHEMAS, and what they refer to by name, as the decoders take it; the references
    have the form `place`, in which `{name}` stands for the name."""
    types = [SCHEMAS[name] for name in names]
    references, components = msgspec.json.schema_components(types, ref_template=place)
    for kind, accepted in _NARROWED.items():
        for field, rule in accepted.items() if kind in components else ():
            described = components[kind]["properties"][field]
            for key in ("anyOf", "additionalProperties"):
                described.pop(key, None)
            described.update(rule)
    return list(references), components


def schema_text(name: str) -> str:
    """The schema of one of SCHEMAS, as it is published."""
    (schema,), components = schema_components([name], "#/$defs/{name}")
    return _pretty({"$schema": _DRAFT, "title": name, **schema, "$defs": components})


def write_schemas(directory: Path) -> list[Path]:
    """Write one file a message type into `directory` and return them."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{name}.json" for name in SCHEMAS]
    for path in paths:
        path.write_text(schema_text(path.stem), encoding="utf-8")
    return paths


def _pretty(schema: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


if __name__ == "__main__":
    for written in write_schemas(Path(sys.argv[1])):
        print(written)
