"""What `nextclick check` says of a schema registry."""

from __future__ import annotations

import importlib.util

import confluent_kafka
import pytest

from bench.rig.schema_registry import RegistryServer
from stream.check.schema_registry import check_schemas
from stream.formats.config import format_options

OLD = [["2", str(minor)] for minor in range(10)]  # versions of confluent-kafka with another client of registries


def found(url: str | None) -> list[str]:
    options = format_options({}, registry=url, click_format="json", list_format="json", clicks="c", lists="l")
    return [one.check for one in check_schemas(options)]


@pytest.mark.skipif(
    importlib.util.find_spec("authlib") is None or confluent_kafka.__version__.split(".")[:2] in OLD,
    reason="needs the extra formats",
)
def test_a_registry_that_is_away_or_refuses_us_is_found(schemas: RegistryServer) -> None:
    assert found(None) == found(schemas.url) == []
    assert schemas.schemas == []
    schemas.password = "shop:secret"
    assert found(schemas.url) == ["schemas_refused"]
    schemas.away = True
    assert found(schemas.url) == ["schemas_away"]
