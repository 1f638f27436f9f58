"""What is said of formats among the options of Kafka's clients."""

from __future__ import annotations

from typing import Any

import pytest

from export.errors import ConfigError
from stream.formats.config import format_options, split_formats
from stream.kafka.clients import admin_options

SAID: dict[str, Any] = {"click_format": "avro", "list_format": "json", "clicks": "eu.clicks", "lists": "eu.lists"}


def test_what_is_of_formats_reaches_no_kafka_client() -> None:
    given = {"security.protocol": "SSL", "basic.auth.user.info": "u:p"}
    options = format_options(given, registry="http://r:8081", **SAID)
    rest, config = split_formats(options)
    assert rest == {"security.protocol": "SSL"}
    assert config is not None
    assert (config.registry, config.auth, config.of("eu.clicks")) == ("http://r:8081", "u:p", "avro")
    assert (config.of("eu.lists"), config.of("other")) == ("json", "json")
    assert "u:p" not in repr(config)


def test_a_file_of_confluent_cloud_goes_as_it_is() -> None:
    file = {
        "schema.registry.url": "https://psrc-1.confluent.cloud",
        "basic.auth.credentials.source": "USER_INFO",
        "basic.auth.user.info": "key:secret",
    }
    assert split_formats(file) == ({}, None)  # of a command that reads neither clicks nor lists
    assert set(admin_options("h:1", file)) == set(admin_options("h:1"))
    _, config = split_formats(format_options(file, registry=None, **SAID))
    assert config is not None
    assert config.registry == "https://psrc-1.confluent.cloud"


def test_without_any_nothing_changes() -> None:
    options = {"security.protocol": "SSL"}
    said = SAID | {"click_format": "json"}
    assert format_options(options, registry=None, **said) == options
    assert split_formats(options) == (options, None)


@pytest.mark.parametrize(
    ("options", "said", "message"),
    [
        ({}, {"registry": None}, "--click-format avro needs --schema-registry URL"),
        ({}, {"registry": "localhost:8081"}, "'localhost:8081' is no URL of a schema registry"),
        ({}, {"registry": "http://r", "list_format": "xml"}, "--list-format must be one of json, avro, json-schema"),
        ({"basic.auth.user.info": "me"}, {"registry": "http://r"}, "has not the form USER:PASSWORD"),
        ({"basic.auth.credentials.source": "URL"}, {"registry": "http://r"}, "must be USER_INFO"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, str], said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        format_options(options, **{**SAID, **said})
