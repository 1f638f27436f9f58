"""The schema registry, by Confluent's client: schemas by their id, and ours under the subject of a topic.

A subject is named by the topic (TopicNameStrategy): `clicks-value`, `recommendations-value`.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from export.errors import ConfigError
from stream.errors import SchemaRegistryAway, SchemaRegistryRefused
from stream.formats.config import FormatConfig

__all__ = ["KnownSchema", "SchemaRegistry"]

_ANSWER_S = 5.0
_REFUSED = (401, 403)
_NO_SUCH = 404
_UNFIT = (409, 422)  # not compatible with the versions before; no schema at all


class KnownSchema(NamedTuple):
    """A schema that the registry has; `parts` are those that it refers to, before what refers to them."""

    id: int
    kind: str  # AVRO, JSON, PROTOBUF
    text: str
    parts: tuple[str, ...] = ()


class SchemaRegistry:
    """One registry. Blocks, for seconds where it does not answer; safe to use from threads."""

    def __init__(self, config: FormatConfig) -> None:
        """ConfigError where the client is missing, or refuses an option."""
        self.url = config.registry
        options: dict[str, Any] = {"url": config.registry, "timeout": _ANSWER_S, "max.retries": 1}
        options |= {
            name: value
            for name, value in (
                ("basic.auth.user.info", config.auth),
                ("ssl.ca.location", config.ca),
                ("ssl.certificate.location", config.certificate),
                ("ssl.key.location", config.key),
            )
            if value
        }
        try:
            from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
            from confluent_kafka.schema_registry.error import SchemaRegistryError
        except ImportError as error:
            raise ConfigError(
                f"a schema registry needs the extra `formats` ({error}): pip install -c constraints.txt '.[formats]'"
            ) from error
        self._schema, self._error = Schema, SchemaRegistryError
        try:
            self._client = SchemaRegistryClient(options)
        except (ValueError, TypeError, OSError) as error:
            raise ConfigError(f"the options of the schema registry cannot be used: {error}") from error

    def schema(self, number: int) -> KnownSchema | None:
        """By its id; None where the registry knows none. SchemaRegistryAway."""
        found = self._asked(lambda: self._client.get_schema(number), f"schema {number}")
        return None if found is None else self._known(number, found)

    def latest(self, subject: str) -> KnownSchema | None:
        """The newest version of a subject; None where there is none."""
        found = self._asked(lambda: self._client.get_latest_version(subject), f"subject {subject}")
        return None if found is None else self._known(found.schema_id, found.schema)

    def register(self, subject: str, kind: str, text: str) -> int:
        """The id of this schema under the subject, which it becomes a version of where it is none. ConfigError where
        the registry takes it not."""
        schema = self._schema(text, kind)
        found = self._asked(lambda: self._client.lookup_schema(subject, schema), f"subject {subject}")
        if found is not None:
            return int(found.schema_id)
        made = self._asked(lambda: self._client.register_schema(subject, schema), f"a schema for {subject}")
        if made is None:
            raise ConfigError(f"the schema registry at {self.url} has no place for schemas; is the URL right?")
        return int(made)

    def _known(self, number: int, schema: Any) -> KnownSchema:
        parts = tuple(dict.fromkeys(self._parts(schema)))
        return KnownSchema(number, schema.schema_type or "AVRO", schema.schema_str, parts)

    def _parts(self, schema: Any) -> Iterator[str]:
        for one in schema.references or ():
            what = f"version {one.version} of {one.subject}"
            found = self._asked(lambda one=one: self._client.get_version(one.subject, one.version), what)
            if found is not None:
                yield from self._parts(found.schema)
                yield found.schema.schema_str

    def _asked(self, ask: Any, what: str) -> Any:
        """The answer; None for 404."""
        try:
            return ask()
        except self._error as error:
            status, said = int(error.http_status_code), f"{what}: {error.error_message}"
        except (OSError, ValueError, json.JSONDecodeError) as error:
            raise SchemaRegistryAway(f"the schema registry at {self.url} does not answer: {error}") from error
        except Exception as error:  # of the HTTP client's own kinds, which change their names
            if not type(error).__module__.startswith(("httpx", "httpcore", "requests", "authlib")):
                raise
            raise SchemaRegistryAway(f"the schema registry at {self.url} does not answer: {error}") from error
        if status == _NO_SUCH:
            return None
        if status in _REFUSED:
            raise SchemaRegistryRefused(
                f"the schema registry at {self.url} refuses us ({status}, {said}): give "
                "basic.auth.user.info=USER:PASSWORD among the client options (--kafka-config FILE)"
            )
        if status in _UNFIT:
            raise ConfigError(f"the schema registry at {self.url} does not take {said}")
        raise SchemaRegistryAway(f"the schema registry at {self.url} fails ({status}, {said})")
