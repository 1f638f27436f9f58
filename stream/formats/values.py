"""Values between a registry's formats and the JSON of the contract, by which all rules are told.

    byte   0          1 2 3 4        5 …
           0, magic   schema's id    Avro, or JSON          https://docs.confluent.io/platform/current/schema-registry/

A value that begins so is read by the schema that its writer had, whichever it is; any other is JSON, as no JSON begins
with that byte. Schemas are fetched once, and kept by their id.
"""

import io
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from export.errors import ConfigError
from stream.errors import BadClick
from stream.formats.config import FormatConfig
from stream.formats.registry import KnownSchema, SchemaRegistry
from stream.formats.schemas import CLICK, LIST, registered_schema
from stream.messages.click_rules import MAX_VALUE_BYTES, UNDECODABLE
from stream.messages.contract import Click, Erase, Recommendation, decode_event, encode

__all__ = ["HEADER_BYTES", "MAGIC", "Values", "values_of"]

MAGIC, HEADER_BYTES = b"\0", 5
_UNKNOWN_S = 30.0  # until the registry is asked again for a schema that it did not know
_MOST_UNKNOWN = 10_000  # numbers that are no schema's, of producers that are none
_FIELDS = frozenset((*Click.__struct_fields__, *Erase.__struct_fields__, "type"))
_IDS = ("session_id", "item_id", "user_id")
_KINDS = {"avro": "AVRO", "json-schema": "JSON"}
_SAMPLE = {"session_id": "1", "item_id": "1", "ts": 1_700_000_000_000, "type": "click"}

Reader = Callable[[bytes], bytes]  # what follows the header -> JSON; raises whatever its library does
Writer = Callable[[bytes], bytes]  # JSON -> a value with its header


@lru_cache(maxsize=8)
def values_of(config: FormatConfig) -> "Values":
    """Those of the process: all its clients share the schemas."""
    return Values(config, SchemaRegistry(config))


class Values:
    """Of one registry. Safe to use from threads."""

    def __init__(self, config: FormatConfig, registry: SchemaRegistry) -> None:
        """ConfigError where Avro is asked for, and its library is missing."""
        self.config, self._registry = config, registry
        self._readers: dict[tuple[str, int], Reader] = {}  # by (topic, schema)
        self._unknown: OrderedDict[int, tuple[float, str]] = OrderedDict()  # until when, and why it can't be used
        self._writers: dict[str, Writer] = {}
        self._lock = threading.Lock()

    def is_of(self, topic: str | None) -> bool:
        """Whether values of a topic may be in one of these formats."""
        return topic == self.config.clicks or topic == self.config.lists

    def missing(self, topic: str, value: bytes | None) -> int | None:
        """The schema that has to be fetched before a value can be read."""
        if value is None or not value.startswith(MAGIC) or len(value) < HEADER_BYTES:
            return None
        number = int.from_bytes(value[1:HEADER_BYTES], "big")
        if (topic, number) in self._readers:
            return None
        until, _ = self._unknown.get(number, (0.0, ""))
        return number if time.monotonic() >= until else None

    def fetch(self, topic: str, number: int) -> None:
        """Have the schema, or know that there is none. Blocks; SchemaRegistryAway."""
        found = self._registry.schema(number)
        with self._lock:
            try:
                if found is None:
                    raise ConfigError(f"the schema registry knows no schema {number}")
                self._readers[topic, number] = self._reader(topic, found)
                self._unknown.pop(number, None)
            except Exception as error:  # whatever is wrong with a schema, its values can't be read
                self._unknown[number] = time.monotonic() + _UNKNOWN_S, str(error)
                while len(self._unknown) > _MOST_UNKNOWN:
                    self._unknown.popitem(last=False)

    def to_json(self, topic: str, value: bytes) -> bytes:
        """A value as the contract has it; BadClick where it can't be read. Its schema is no longer `missing`."""
        if not value.startswith(MAGIC):
            return value
        number = int.from_bytes(value[1:HEADER_BYTES], "big")
        reader = self._readers.get((topic, number))
        if reader is None or len(value) < HEADER_BYTES:
            _, why = self._unknown.get(number, (0.0, "it is shorter than a header"))
            raise BadClick(UNDECODABLE, why)
        try:
            return reader(value[HEADER_BYTES:])
        except BadClick:
            raise
        except Exception as error:
            raise BadClick(UNDECODABLE, f"it does not fit schema {number}") from error

    def event(self, value: bytes | None, key: bytes | None, record_ts_ms: int) -> Click | Erase:
        """As `contract.decode_event`, of a value in any format."""
        if value is None or not value.startswith(MAGIC) or len(value) > MAX_VALUE_BYTES:
            return decode_event(value, key, record_ts_ms)
        return decode_event(self.to_json(self.config.clicks, value), key, record_ts_ms)

    def prepare(self, topic: str) -> None:
        """Know the schema that is written to a topic. ConfigError where the registry or the schema does not take what
        is to be written; SchemaRegistryAway."""
        if topic not in self._writers and self.config.of(topic) != "json":
            self._writers[topic] = self._writer(topic)

    def from_json(self, topic: str, value: bytes) -> bytes:
        """A value as it is written to a topic. Errors as of `prepare`; ValueError where it doesn't fit the schema."""
        if self.config.of(topic) == "json":
            return value
        self.prepare(topic)
        try:
            return self._writers[topic](value)
        except Exception as error:
            raise ValueError(f"it does not fit the schema of {topic}: {error}") from error

    def _reader(self, topic: str, schema: KnownSchema) -> Reader:
        if schema.kind == "JSON":
            return bytes
        if schema.kind != "AVRO":
            raise ConfigError(f"schema {schema.id} is {schema.kind}, which nextclick does not read")
        from stream.formats.avro import avro_reader

        read, divide = avro_reader(schema)
        return _list_reader(read) if topic == self.config.lists else _click_reader(read, divide.get("ts", 1))

    def _writer(self, topic: str) -> Writer:
        """Lists have our schema. On the clicks the shop's, if there is one: they are its topic."""
        kind, subject = _KINDS[self.config.of(topic)], f"{topic}-value"
        name = LIST if topic == self.config.lists else CLICK
        found = None if name == LIST else self._registry.latest(subject)
        if found is None or found.kind != kind:
            text = registered_schema(name, kind)
            found = KnownSchema(self._registry.register(subject, kind, text), kind, text)
        header = MAGIC + found.id.to_bytes(4, "big")
        if kind == "JSON":
            return lambda value: header + value
        from stream.formats.avro import avro_writer

        write, prepare = avro_writer(found), _plain_click if name == CLICK else None
        if name == CLICK:
            _try(write, subject, found.id)

        def writer(value: bytes) -> bytes:
            out = io.BytesIO()
            out.write(header)
            content = msgspec.json.decode(value)
            write(out, content if prepare is None else prepare(content))
            return out.getvalue()

        return writer


def _click_reader(read: Callable[[bytes], Any], divide: int) -> Reader:
    def reader(payload: bytes) -> bytes:
        record = read(payload)
        found = {name: record[name] for name in _FIELDS if record.get(name) is not None}  # null: left out
        for name in _IDS:
            if isinstance(found.get(name), bytes):
                raise BadClick(f"wrong_type_{name}", f"{name} must be a string or an integer, is bytes")
        if divide > 1 and isinstance(found.get("ts"), int):
            found["ts"] //= divide
        return encode(found)

    return reader


def _list_reader(read: Callable[[bytes], Any]) -> Reader:
    def reader(payload: bytes) -> bytes:
        record = read(payload)
        return encode(msgspec.convert({name: one for name, one in record.items() if one is not None}, Recommendation))

    return reader


def _plain_click(content: dict[str, Any]) -> dict[str, Any]:
    """A click as Avro's schema has it: ids are text, and what is deep within its context is JSON."""
    for name in _IDS:
        if isinstance(content.get(name), int):
            content[name] = str(content[name])
    if isinstance(content.get("context"), dict):
        content["context"] = {
            name: json.dumps(one) if isinstance(one, (dict, list)) else one for name, one in content["context"].items()
        }
    return content


def _try(write: Callable[[io.BytesIO, Any], None], subject: str, number: int) -> None:
    try:
        write(io.BytesIO(), dict(_SAMPLE))
    except Exception as error:
        raise ConfigError(
            f"schema {number} of {subject} does not take the clicks of nextclick itself ({error}): give fields that "
            "docs/contract.md does not have a default, and let ids be strings and ts a long"
        ) from error
