"""What is said of formats, and what a shop writes by them."""

from __future__ import annotations

import io
from typing import Any

import confluent_kafka

from bench.rig.schema_registry import RegistryServer
from stream.formats.config import FormatConfig, ValueFormat
from stream.formats.registry import SchemaRegistry
from stream.formats.values import Values
from stream.messages.contract import Recommendation, Source, recommended

try:
    import fastavro
except ImportError:  # the extra formats is missing
    fastavro = None
OLDEST = (2, 10)  # of confluent-kafka: its client of registries was another one before
if fastavro is None or tuple(map(int, confluent_kafka.__version__.split(".")[:2])) < OLDEST:
    collect_ignore_glob = ["test_[!c]*.py", "test_clients.py"]

NOW = 1_700_000_000_000
LIST = Recommendation("s", recommended([("a", 2.5), ("ü", 1.0)]), "3", "default", False, Source("clicks", 1, 7), 5, 6)
FIELDS: list[dict[str, Any]] = [
    {"name": "session_id", "type": "string"},
    {"name": "item_id", "type": "string"},
    {"name": "ts", "type": "long"},
]


def record(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "View", "namespace": "shop", "fields": list(fields)}


def framed(number: int, schema: Any, content: dict[str, Any]) -> bytes:
    """As a shop's serializer writes it."""
    out = io.BytesIO()
    out.write(b"\0" + number.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), content)
    return out.getvalue()


VIEW = record(*FIELDS)


def config_of(schemas: RegistryServer, form: ValueFormat = "avro", auth: str = "") -> FormatConfig:
    return FormatConfig(
        registry=schemas.url,
        clicks="clicks",
        lists="recommendations",
        click_format=form,
        list_format=form,
        auth=auth,
    )


def values_by(schemas: RegistryServer, form: ValueFormat = "avro", auth: str = "") -> Values:
    """As a process has them that starts."""
    config = config_of(schemas, form, auth)
    return Values(config, SchemaRegistry(config))
