"""`topics`: the Kafka topics that nextclick works with."""

from typing import Annotated

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Group, Kafka
from cli.output import print_table, report

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The Kafka topics that nextclick works with.")


@command(app, "create")
def create(
    kafka: Kafka,
    partitions: Annotated[int, option(help="Of clicks: the most workers there can be.")] = 4,
    replication: Annotated[int, option(help="Copies of each partition.")] = 1,
    group: Group = "nextclick",
    impressions: Annotated[
        bool, option("--impressions", help="Also the one of lists that storefronts showed (nextclick feedback).")
    ] = False,
    json: Json = False,
) -> None:
    """Make the topics; those that exist are checked."""
    from stream.kafka.topics import create_topics

    reports = create_topics(
        kafka.bootstrap_servers,
        partitions=partitions,
        replication=replication,
        group=group,
        topics=kafka.topic_names(),
        extra=kafka.client(),
        impressions=impressions,
    )
    if json:
        return report({"topics": msgspec.to_builtins(reports)}, json)
    rows = [[topic.name, topic.partitions, "created" if topic.created else "was there"] for topic in reports]
    return print_table(["topic", "partitions", ""], rows)
