"""What is said of value formats, among the options of the Kafka clients, as Confluent's serializers have it.

A file that Confluent Cloud writes for Java's clients goes as it is: `schema.registry.url`, `basic.auth.user.info`. The
command line adds the topics and what is written to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from export.errors import ConfigError

__all__ = ["FormatConfig", "ValueFormat", "format_options", "split_formats"]

ValueFormat = Literal["json", "avro", "json-schema"]

_URL = "schema.registry.url"
_AUTH, _SOURCE = "basic.auth.user.info", "basic.auth.credentials.source"
_FILES = {
    "ca": "schema.registry.ssl.ca.location",
    "certificate": "schema.registry.ssl.certificate.location",
    "key": "schema.registry.ssl.key.location",
}
_CLICKS, _LISTS = "nextclick.clicks", "nextclick.lists"  # the topics, where formats are of use
_CLICK_FORMAT, _LIST_FORMAT = "nextclick.click.format", "nextclick.list.format"
_OURS = frozenset({_URL, _AUTH, _SOURCE, *_FILES.values(), _CLICKS, _LISTS, _CLICK_FORMAT, _LIST_FORMAT})


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatConfig:
    """Which registry there is, and what is written to which topic. Read is whatever the registry knows, and JSON."""

    registry: str  # URL; more of them separated by commas
    clicks: str  # topic
    lists: str  # topic
    click_format: ValueFormat = "json"  # of what nextclick itself writes there: serve, erase, feedback, replay
    list_format: ValueFormat = "json"
    auth: str = field(default="", repr=False)  # USER:PASSWORD
    ca: str = ""  # files
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        for url in self.registry.split(","):
            if not url.strip().startswith(("http://", "https://")):
                raise ConfigError(f"{url!r} is no URL of a schema registry, for example http://localhost:8081")
        for name, value in (("--click-format", self.click_format), ("--list-format", self.list_format)):
            if value not in get_args(ValueFormat):
                raise ConfigError(f"{name} must be one of {', '.join(get_args(ValueFormat))}, not {value!r}")
        if self.auth and ":" not in self.auth:
            raise ConfigError(f"{_AUTH} has not the form USER:PASSWORD")

    def of(self, topic: str) -> ValueFormat:
        """What is written to a topic."""
        return {self.clicks: self.click_format, self.lists: self.list_format}.get(topic, "json")


def format_options(
    options: Mapping[str, str],
    *,
    registry: str | None,
    click_format: ValueFormat,
    list_format: ValueFormat,
    clicks: str,
    lists: str,
) -> dict[str, str]:
    """Client options with what the command line says of formats; ConfigError where they need a registry and there is
    none."""
    url = registry or options.get(_URL)
    if not url:
        for name, value in (("--click-format", click_format), ("--list-format", list_format)):
            if value != "json":
                raise ConfigError(f"{name} {value} needs --schema-registry URL, for example http://localhost:8081")
        return dict(options)
    said = {_URL: url, _CLICKS: clicks, _LISTS: lists, _CLICK_FORMAT: click_format, _LIST_FORMAT: list_format}
    split_formats({**options, **said})  # what can't be used is refused here
    return {**options, **said}


def split_formats(options: Mapping[str, str]) -> tuple[dict[str, str], FormatConfig | None]:
    """Options for the Kafka client alone, and what they say of formats; None where no command has asked for it."""
    rest = {name: value for name, value in options.items() if name not in _OURS}
    if len(rest) == len(options) or _CLICKS not in options or _URL not in options:
        return rest, None
    source = options.get(_SOURCE, "USER_INFO")
    if source != "USER_INFO":
        raise ConfigError(f"{_SOURCE} must be USER_INFO, with {_AUTH}=USER:PASSWORD, not {source!r}")
    return rest, FormatConfig(
        registry=options[_URL],
        clicks=options[_CLICKS],
        lists=options[_LISTS],
        click_format=options[_CLICK_FORMAT],  # type: ignore[arg-type]  # checked there
        list_format=options[_LIST_FORMAT],  # type: ignore[arg-type]
        auth=options.get(_AUTH, ""),
        **{name: options.get(key, "") for name, key in _FILES.items()},
    )
