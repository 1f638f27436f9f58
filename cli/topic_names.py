"""The options by which every command on the stream learns the names of the topics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cli.options import option

if TYPE_CHECKING:
    from stream.topic_names import Topics

__all__ = ["TopicFile", "TopicPrefix", "topic_names"]

TopicFile = Annotated[
    Path | None,
    option(
        "--topics",
        envvar="NEXTCLICK_TOPICS",
        help="File of topic names, TOML or lines: clicks=…, recommendations=…, rejected=…, models=…, changelog=….",
    ),
]
TopicPrefix = Annotated[
    str,
    option("--topic-prefix", envvar="NEXTCLICK_TOPIC_PREFIX", help="Before every topic's and group's name: shop1."),
]


def topic_names(file: Path | None, prefix: str) -> "Topics":
    """The names that these options give; ConfigError where they can't be used."""
    from stream.topic_names import read_topics

    return read_topics(file, prefix)
