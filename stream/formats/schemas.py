"""The schemas that nextclick registers, written from the contract: `python -m stream.formats.schemas docs/schema`.

In Avro a click and the wish to erase a session are one record, as a topic has one schema: `item_id` is null where
`type` is `erase`. In JSON Schema they are two, either of which a message may be.
"""

import json
import sys
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from export.errors import ConfigError
from stream.messages.contract import Click, Recommendation
from stream.messages.schema import schema_components

__all__ = ["avro_schema", "registered_schema", "write_avro"]

CLICK, LIST = "click", "recommendation"
_SPACE = "nextclick"
_PLAIN: dict[Any, str] = {str: "string", int: "long", float: "double", bool: "boolean"}
_FREE = {"type": "map", "values": ["null", "boolean", "long", "double", "string"]}  # what is deeper is JSON text
_TYPES: dict[str, type[msgspec.Struct]] = {CLICK: Click, LIST: Recommendation}
_JSON = {CLICK: ("click", "erase"), LIST: ("recommendation",)}
_DRAFT = "http://json-schema.org/draft-07/schema#"  # all registries and clients know it


def registered_schema(name: str, kind: str) -> str:
    """The schema of a CLICK or a LIST, AVRO or JSON, as it is registered."""
    return json.dumps(avro_schema(name) if kind == "AVRO" else _json_schema(name), separators=(",", ":"))


def avro_schema(name: str) -> dict[str, Any]:
    """The same in Avro, as Python's values."""
    schema: dict[str, Any] = _record(_TYPES[name], set())
    if name == CLICK:
        for field in schema["fields"]:
            if field["name"] == "item_id":
                field.update(type=["null", "string"], default=None)
    return schema


def _record(kind: type[msgspec.Struct], known: set[str]) -> Any:
    if kind.__name__ in known:
        return kind.__name__
    known.add(kind.__name__)
    found: dict[str, Any] = {"type": "record", "name": kind.__name__, "namespace": _SPACE}
    found["doc"] = (kind.__doc__ or "").strip()
    found["fields"] = [_field(field, known) for field in msgspec.structs.fields(kind)]
    return found


def _field(field: Any, known: set[str]) -> dict[str, Any]:
    meta = [one for one in getattr(field.type, "__metadata__", ()) if isinstance(one, msgspec.Meta)]
    found: dict[str, Any] = {"name": field.name, "type": _type(field.type, known)}
    if meta and meta[0].description:
        found["doc"] = meta[0].description
    if field.default is not msgspec.NODEFAULT:
        found["default"] = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        found["default"] = field.default_factory()
    return found


def _type(kind: Any, known: set[str]) -> Any:
    if hasattr(kind, "__metadata__"):
        return _type(kind.__origin__, known)
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin = get_origin(kind)
    if origin is Literal:
        return "string"  # an enumeration could not grow without breaking readers
    if origin is list:
        return {"type": "array", "items": _type(get_args(kind)[0], known)}
    if origin is dict:
        return _FREE
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return ["null", _type(inner, known)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _record(kind, known)
    raise ConfigError(f"this is a bug: the contract has a type that Avro's schema is not written for: {kind}")


def _json_schema(name: str) -> dict[str, Any]:
    references, definitions = schema_components(_JSON[name], "#/definitions/{name}")
    either = references[0] if len(references) == 1 else {"oneOf": references}
    return {"$schema": _DRAFT, "title": name, **either, "definitions": definitions}


def write_avro(directory: Path) -> list[Path]:
    """Write one file a record into `directory` and return them."""
    paths = [directory / f"{name}.avsc" for name in _TYPES]
    for path in paths:
        text = json.dumps(avro_schema(path.stem), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    return paths


if __name__ == "__main__":
    for written in write_avro(Path(sys.argv[1])):
        print(written)
