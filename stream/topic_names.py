"""The names of the topics, and of their users: a shop may have names of its own, or a prefix before all of them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from export.errors import ConfigError

__all__ = ["Topics", "read_topics"]

_LONGEST = 249  # characters of a topic's name, by Kafka's rule
_MOST_BYTES = 64 * 1024  # of a file of names
_ALLOWED = re.compile(r"[a-zA-Z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The names as the brokers know them; ConfigError where Kafka would refuse one, or two are the same."""

    clicks: str = "clicks"
    recommendations: str = "recommendations"
    rejected: str = "clicks.rejected"
    models: str = "models"
    items: str = "items"  # optional: what the shop says about its items
    similar: str = "similar"  # optional: the items that are like each one
    impressions: str = "impressions"  # optional: the lists that storefronts showed
    erasures: str = "erasures"  # optional: what the parts say that they have erased
    state: str | None = None  # of the sessions; None: named after the group, as Faust does
    prefix: str = ""  # stands in the names above already; goes before those of consumer groups as well

    def __post_init__(self) -> None:
        if not _ALLOWED.fullmatch(self.prefix):
            raise ConfigError(f"the topic prefix {self.prefix!r} holds other characters than a-z A-Z 0-9 . _ -")
        _check_names(self._shared())

    @classmethod
    def named(cls, names: Mapping[str, str] | None = None, prefix: str = "") -> "Topics":
        """The topics of a shop: `names` by the words clicks, recommendations, rejected, models, items, similar,
        impressions, erasures and changelog, those left out as they are by default; `prefix` before each of them.
        ConfigError for another word."""
        given = dict(names or {})
        plain = {field.name: str(field.default) for field in fields(cls) if field.default and field.name != "prefix"}
        words = [*plain, "changelog"]
        if unknown := sorted(given.keys() - set(words)):
            raise ConfigError(f"there is no topic {unknown[0]!r}; those that can be named are {', '.join(words)}")
        state = given.pop("changelog", None)
        full = {word: prefix + name for word, name in (plain | given).items()}
        return cls(**full, state=None if state is None else prefix + state, prefix=prefix)

    def changelog(self, group: str) -> str:
        """The topic that holds the state of a group's sessions; ConfigError where no topic can be named after it."""
        name = self.state or f"{self.prefix}{group}-sessions-changelog"
        _check_names({**self._shared(), "changelog": name})
        return name

    def all(self, group: str) -> tuple[str, str, str, str, str]:
        """The five topics that the workers of a group need."""
        return self.clicks, self.recommendations, self.rejected, self.models, self.changelog(group)

    def as_options(self) -> str:
        """The options by which commands get these names, for messages that tell what to run; empty by default."""
        options = f" --topic-prefix {self.prefix}" if self.prefix else ""
        return options if self == Topics.named(prefix=self.prefix) else f"{options} --topics FILE"

    def _shared(self) -> dict[str, str]:
        names = {
            "clicks": self.clicks,
            "recommendations": self.recommendations,
            "rejected": self.rejected,
            "models": self.models,
            "items": self.items,
            "similar": self.similar,
            "impressions": self.impressions,
            "erasures": self.erasures,
        }
        return names if self.state is None else {**names, "changelog": self.state}


def read_topics(file: Path | None = None, prefix: str = "") -> Topics:
    """Names from a file, TOML if it ends in .toml, else lines of word=name; empty lines and `#` lines are left out.

    ConfigError, with the file, where it can't be read or names no topics.
    """
    if file is None:
        return Topics.named(prefix=prefix)
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig") if len(content) <= _MOST_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"the topic names in {file} can't be read: {reason}") from error
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"the topic names in {file} have more than {_MOST_BYTES:,} bytes; is it another file?")
    try:
        return Topics.named(_from_toml(text) if file.suffix == ".toml" else _from_lines(text), prefix)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _from_toml(text: str) -> dict[str, str]:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}") from error
    for word, name in found.items():
        if not isinstance(name, str):
            raise ConfigError(f'the name of {word} must be a string, as in {word} = "shop.{word}"')
    return found


def _from_lines(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        word, separator, name = (part.strip() for part in line.partition("="))
        if (not word and not separator) or word.startswith("#"):
            continue
        if not separator or word in found:
            what = "names a topic twice" if separator else "has not the form word=name, for example clicks=shop.clicks"
            raise ConfigError(f"line {number} {what}")
        found[word] = name
    return found


def _check_names(names: Mapping[str, str]) -> None:
    """By the rules of Kafka, which takes `.` and `_` for the same where it compares names."""
    words: dict[str, str] = {}
    for word, name in names.items():
        if not 1 <= len(name) <= _LONGEST:
            raise ConfigError(f"the name of the topic for {word} must have 1 to {_LONGEST} characters, not {len(name)}")
        if not _ALLOWED.fullmatch(name) or name in (".", ".."):
            raise ConfigError(f"the topic for {word} can't be named {name!r}: Kafka takes a-z A-Z 0-9 . _ - in names")
        other = words.setdefault(name.replace(".", "_"), word)
        if other != word:
            raise ConfigError(f"the topics for {other} and {word} can't both be named {name!r} (. and _ count as one)")
