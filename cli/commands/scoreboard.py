"""`scoreboard`: which variant's lists are clicked."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.options.service import Scoreboard
from cli.output import print_json, print_line, print_table
from cli.scores import COLUMNS, notes, rows, summary

if TYPE_CHECKING:
    from stream.scoreboard.service import ScoreboardService

__all__ = ["app"]

app = typer.Typer()
COUNTING = "Counting"
GUARD = "Guard rails"
_LOGGED_S = 60.0  # between two lines in the log


@command(app, rich_help_panel="Serve")
def scoreboard(
    kafka: Kafka,
    once: Annotated[bool, option("--once", help="Count what is there, print it, end. Stops no variant.")] = False,
    state: Annotated[
        Path | None,
        option(
            envvar="NEXTCLICK_SCOREBOARD_STATE",
            metavar="DIR",
            help="Counts and history are kept here, over restarts. Without, it begins with the oldest messages kept.",
        ),
    ] = None,
    every_s: Annotated[float, option(metavar="N", help="Seconds between two pictures, or lines of --json.")] = 5.0,
    history_s: Annotated[float, option(metavar="N", help="Seconds between two lines of the history.")] = 60.0,
    session_timeout_minutes: Annotated[
        float, option(metavar="N", help="A longer silence starts a new session.", rich_help_panel=COUNTING)
    ] = 30.0,
    max_sessions: Annotated[
        int, option(metavar="N", help="Open at a time in a partition.", rich_help_panel=COUNTING)
    ] = 200_000,
    placement: Annotated[
        str,
        option(metavar="NAME", help="Whose lists are counted, where workers make several.", rich_help_panel=COUNTING),
    ] = "",
    alpha: Annotated[
        float, option(help="False alarms of an experiment, over all looks together.", rich_help_panel=COUNTING)
    ] = 0.05,
    guard: Annotated[
        bool, option("--guard/--no-guard", help="Stop variants that do harm.", rich_help_panel=GUARD)
    ] = True,
    guard_hit_rate: Annotated[
        float, option(metavar="X", help="Share of the control's hit rate lost for sure.", rich_help_panel=GUARD)
    ] = 0.10,
    guard_fallback: Annotated[
        float, option(metavar="X", help="More of the lists are popular items.", rich_help_panel=GUARD)
    ] = 0.20,
    guard_latency_ratio: Annotated[
        float, option(metavar="X", help="Times the control's p99.", rich_help_panel=GUARD)
    ] = 3.0,
    guard_latency_ms: Annotated[
        float, option(metavar="N", help="And so many ms beyond it.", rich_help_panel=GUARD)
    ] = 100.0,
    guard_errors: Annotated[
        float, option(metavar="X", help="Share of its sessions that got something else.", rich_help_panel=GUARD)
    ] = 0.20,
    guard_window: Annotated[
        int, option(metavar="N", help="Lists that are compared at a time.", rich_help_panel=GUARD)
    ] = 500,
    process: Scoreboard = Scoreboard(),
    json: Json = False,
) -> None:
    """Join lists with the clicks that follow, and count them by variant, live."""
    from export.experiments.sequence import SequenceConfig
    from stream.kafka.clients import wait_for_broker
    from stream.ops.signals import StopSignal
    from stream.scoreboard.config import ScoreboardConfig
    from stream.scoreboard.guard import GuardConfig
    from stream.scoreboard.service import ScoreboardService, ServiceConfig

    counting = ScoreboardConfig(
        idle_s=session_timeout_minutes * 60,
        max_sessions=max_sessions,
        placement=placement,
        sequence=SequenceConfig(alpha=alpha),
    )
    rails = GuardConfig(
        hit_rate=guard_hit_rate,
        fallback=guard_fallback,
        latency_ratio=guard_latency_ratio,
        latency_ms=guard_latency_ms,
        errors=guard_errors,
        window=guard_window,
    )
    config = ServiceConfig(state=state, guard=rails if guard else None, every_s=every_s, history_every_s=history_s)
    log = logging.getLogger(__name__)
    process.log_as_told()
    stop = StopSignal()
    topics, client = kafka.topic_names(), kafka.client()
    wait_for_broker(kafka.bootstrap_servers, client, stopped=stop.event)
    service = ScoreboardService(kafka.bootstrap_servers, topics, client, counting=counting, config=config)
    if once:
        return _show(service.once(stop.event), json)
    if state is None:
        log.warning("without --state every start counts anew, from the oldest messages kept, and there is no history")
    with process.answering(service.web(process.web_host, process.web_port), "health, metrics and scores"):
        _run(service, stop.event, json, every_s)
    return None


def _run(service: "ScoreboardService", stop: threading.Event, json: bool, every_s: float) -> None:
    """On a terminal a table that is always of this moment; else lines."""
    if json:
        return service.run(stop, _each(every_s, lambda: print_json(service.figures())))
    if not sys.stdout.isatty():
        log = logging.getLogger(__name__)
        return service.run(stop, _each(_LOGGED_S, lambda: log.info("%s", summary(service.figures()))))
    from rich.live import Live

    from cli.output import stdout

    with Live(console=stdout(), auto_refresh=False) as live:
        return service.run(stop, _each(every_s, lambda: live.update(_picture(service.figures()), refresh=True)))


def _each(seconds: float, do: Callable[[], None]) -> Callable[[], None]:
    """Do it when it is asked for the first time, and then so often."""
    last = -seconds

    def ask() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            do()

    return ask


def _picture(figures: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for number, column in enumerate(COLUMNS):
        table.add_column(column, overflow="fold", justify="left" if number in (0, 1, len(COLUMNS) - 1) else "right")
    for row in rows(figures):
        table.add_row(*map(Text, row))
    return Group(table, *map(Text, notes(figures)))


def _show(figures: dict[str, Any], json: bool) -> None:
    if json:
        return print_json(figures)
    print_table(COLUMNS, rows(figures))
    for line in notes(figures):
        print_line(line)
    return None
