"""`replay`: a log read as the trainer reads it, sent as a shop sends its clicks."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.options.reading import Data, WholeReading
from cli.output import report, say

if TYPE_CHECKING:
    from stream.kafka.replay import LoggedClick

__all__ = ["app"]

app = typer.Typer()


@command(app, rich_help_panel="Try it")
def replay(
    data: Data,
    kafka: Kafka,
    read: WholeReading,
    rate: Annotated[float, option(help="Clicks a second; 0: as fast as it goes.")] = 0.0,
    limit: Annotated[int | None, option(help="Stop after so many clicks.")] = None,
    now: Annotated[bool, option("--now", help="Stamp clicks with the present instead of the log's time.")] = False,
    json: Json = False,
) -> None:
    """Send a click log as live clicks, in the order of time."""
    from model.data.readers import KINDS, iter_clicks, read_log
    from stream.kafka.replay import replay as send

    # Skips are sent as they came, and the worker's own time-out cuts sessions
    options = dataclasses.replace(read.options(), kinds=frozenset(KINDS))
    client = kafka.client()
    raw = read_log(data, options)
    say(raw.report.summary())
    clicks = cast("Iterator[LoggedClick]", iter_clicks(raw))
    sent = send(
        clicks, bootstrap_servers=kafka.bootstrap_servers, rate=rate or None, limit=limit, now=now, extra=client
    )
    report(msgspec.to_builtins(sent), json)
