"""Whether the schema registry answers, where one is said. Nothing is registered."""

from collections.abc import Iterator, Mapping

from export.errors import ConfigError
from stream.check.finding import Finding, error
from stream.errors import SchemaRegistryAway, SchemaRegistryRefused
from stream.formats.config import split_formats

__all__ = ["check_schemas"]

_WHERE = "schema registry"


def check_schemas(extra: Mapping[str, str]) -> Iterator[Finding]:
    """Ask it for the subjects of clicks and lists."""
    from stream.formats.registry import SchemaRegistry  # its client is for those that have one

    try:
        _, config = split_formats(extra)
        if config is None:
            return
        registry = SchemaRegistry(config)
        for topic in (config.clicks, config.lists):
            registry.latest(f"{topic}-value")
    except SchemaRegistryRefused as problem:
        yield error("schemas_refused", _WHERE, str(problem), "check basic.auth.user.info among the client options")
    except SchemaRegistryAway as problem:
        yield error("schemas_away", _WHERE, str(problem), "check --schema-registry and the network")
    except ConfigError as problem:
        yield error("schemas_client", _WHERE, str(problem), "docs/formats.md has the options")
