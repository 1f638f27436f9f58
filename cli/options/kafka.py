"""Options of the commands that speak to Kafka."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cli.options.group import option

if TYPE_CHECKING:
    from stream.topic_names import Topics

ValueFormat = Literal["json", "avro", "json-schema"]

__all__ = ["Announcing", "Group", "Kafka"]

PANEL = "Kafka"

_SERVERS: dict[str, Any] = {"envvar": "NEXTCLICK_BOOTSTRAP_SERVERS", "metavar": "HOST:PORT", "rich_help_panel": PANEL}

Group = Annotated[
    str,
    option(
        "--group",
        envvar="NEXTCLICK_GROUP",
        metavar="NAME",
        help="Consumer group of the workers.",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Announcing:
    """The connection of a command that tells the workers where it is given a broker."""

    bootstrap_servers: Annotated[
        str | None,
        option(
            "--bootstrap-servers",
            help="Tell the workers. Left out, they follow the registry as long as nothing was announced.",
            **_SERVERS,
        ),
    ] = None
    kafka: Annotated[
        list[str] | None,
        option(
            "--kafka",
            metavar="KEY=VALUE",
            help="Client option, repeatable: security.protocol=SSL.",
            rich_help_panel=PANEL,
        ),
    ] = None
    kafka_config: Annotated[
        Path | None,
        option(
            "--kafka-config",
            envvar="NEXTCLICK_KAFKA_CONFIG",
            metavar="FILE",
            help="Client options, key=value lines. Passwords: here, or in NEXTCLICK_KAFKA_SASL_PASSWORD.",
            rich_help_panel=PANEL,
        ),
    ] = None

    topics: Annotated[
        Path | None,
        option(
            "--topics",
            envvar="NEXTCLICK_TOPICS",
            metavar="FILE",
            help="Topic names, TOML or lines: clicks=…, recommendations=…, rejected=…, models=…, changelog=…, items=…, "
            "similar=…, impressions=…, erasures=….",
            rich_help_panel=PANEL,
        ),
    ] = None
    topic_prefix: Annotated[
        str,
        option(
            "--topic-prefix",
            envvar="NEXTCLICK_TOPIC_PREFIX",
            metavar="TEXT",
            help="Goes before the names of all topics and of the group: shop1.",
            rich_help_panel=PANEL,
        ),
    ] = ""

    def topic_names(self) -> "Topics":
        """What the topics are called; ConfigError for names that can't be used."""
        from stream.topic_names import read_topics

        return read_topics(self.topics, self.topic_prefix)

    def client(self) -> dict[str, str]:
        """Client options from the command line, the environment and a file."""
        from stream.kafka.clients import read_options

        return read_options(self.kafka or [], self.kafka_config, os.environ)


@dataclass(frozen=True, kw_only=True)
class Kafka(Announcing):
    """The connection of a command that can't do without one."""

    bootstrap_servers: Annotated[
        str, option("--bootstrap-servers", help="Kafka brokers, separated by commas.", **_SERVERS)
    ] = field()  # else it would have the default of the class above
    schema_registry: Annotated[
        str | None,
        option(
            "--schema-registry",
            envvar="NEXTCLICK_SCHEMA_REGISTRY",
            metavar="URL",
            help="Clicks and lists may be Avro or JSON Schema of this registry (Confluent's API); its password: "
            "basic.auth.user.info=USER:PASSWORD in --kafka-config.",
            rich_help_panel=PANEL,
        ),
    ] = None
    click_format: Annotated[
        ValueFormat,
        option(
            "--click-format",
            envvar="NEXTCLICK_CLICK_FORMAT",
            metavar="NAME",
            help="json, avro or json-schema: of what this command itself sends to the clicks.",
            rich_help_panel=PANEL,
        ),
    ] = "json"
    list_format: Annotated[
        ValueFormat,
        option(
            "--list-format",
            envvar="NEXTCLICK_LIST_FORMAT",
            metavar="NAME",
            help="json, avro or json-schema: of the recommendations.",
            rich_help_panel=PANEL,
        ),
    ] = "json"

    def client(self) -> dict[str, str]:
        """With what is said of formats."""
        from stream.formats.config import format_options

        names, options = self.topic_names(), super().client()
        return format_options(
            options,
            registry=self.schema_registry,
            click_format=self.click_format,
            list_format=self.list_format,
            clicks=names.clicks,
            lists=names.recommendations,
        )
