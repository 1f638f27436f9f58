"""Names that Kafka can hold: of topics, and of groups, which name a topic and transactions as well."""

import re

from export.errors import ConfigError

__all__ = ["MAX_TOPIC", "check_group", "check_topic"]

MAX_TOPIC = 249  # characters, Kafka's own limit
_LEGAL = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST_ENDING = len("-sessions-changelog")


def check_topic(name: str) -> str:
    """Return the name of a topic, or raise ConfigError where Kafka would refuse it."""
    if not _LEGAL.fullmatch(name) or name in (".", "..") or len(name) > MAX_TOPIC:
        raise ConfigError(
            f"{name!r} is no name of a topic: letters, digits, '.', '_' and '-', {MAX_TOPIC} characters at most"
        )
    return name


def check_group(name: str) -> str:
    """Return the name of a consumer group, or raise ConfigError; the topic of its sessions is named after it."""
    longest = MAX_TOPIC - _LONGEST_ENDING
    if not _LEGAL.fullmatch(name) or len(name) > longest:
        raise ConfigError(
            f"{name!r} is no name of a group: letters, digits, '.', '_' and '-', {longest} characters at most, "
            "as the topic of its sessions is named after it"
        )
    return name
