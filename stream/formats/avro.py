"""Avro by fastavro: values by the schema of their writer, whose logical types are undone."""

import io
import json
from collections.abc import Callable
from typing import Any

from export.errors import ConfigError
from stream.formats.registry import KnownSchema

__all__ = ["avro_reader", "avro_writer"]

_PER_MS = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}


def avro_reader(schema: KnownSchema) -> tuple[Callable[[bytes], Any], dict[str, int]]:
    """A function from bytes to a record, and of fields that are finer times how many of their units are a millisecond.
    ConfigError without fastavro; its errors where it is no schema."""
    fast = _fastavro()
    divide: dict[str, int] = {}
    parsed = _parsed(fast, schema, divide)
    read = fast.schemaless_reader

    def reader(payload: bytes) -> Any:
        stream = io.BytesIO(payload)
        found = read(stream, parsed, None)
        if stream.tell() != len(payload):
            raise ValueError(f"{len(payload) - stream.tell()} bytes are left over")
        return found

    return reader, divide


def avro_writer(schema: KnownSchema) -> Callable[[io.BytesIO, Any], None]:
    """A function that writes a record behind what is there."""
    fast = _fastavro()
    parsed, write = _parsed(fast, schema, {}), fast.schemaless_writer

    def writer(out: io.BytesIO, record: Any) -> None:
        write(out, parsed, record)

    return writer


def _parsed(fast: Any, schema: KnownSchema, divide: dict[str, int]) -> Any:
    named: dict[str, Any] = {}
    for part in schema.parts:
        fast.parse_schema(_physical(json.loads(part), {}), named_schemas=named)
    return fast.parse_schema(_physical(json.loads(schema.text), divide), named_schemas=named)


def _physical(schema: Any, divide: dict[str, int], field: str = "") -> Any:
    """The schema without its logical types: dates, times and decimals are the numbers that stand for them."""
    if isinstance(schema, list):
        return [_physical(one, divide, field) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if per_ms := _PER_MS.get(str(schema.get("logicalType"))):
        divide[field] = per_ms
    found = {name: value for name, value in schema.items() if name != "logicalType"}
    for name in ("items", "values", "type"):
        if isinstance(found.get(name), (dict, list)):
            found[name] = _physical(found[name], divide, field)
    if "fields" in found:
        found["fields"] = [
            {**one, "type": _physical(one["type"], divide, f"{field}.{one['name']}".lstrip("."))}
            for one in found["fields"]
        ]
    return found


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError as error:
        raise ConfigError(
            f"Avro needs the extra `formats` ({error}): pip install -c constraints.txt '.[formats]'"
        ) from error
    return fastavro
