"""`status`: how a running system stands."""

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Group, Kafka
from cli.output import print_json, print_line, print_table, stdout
from export.errors import ConfigError

if TYPE_CHECKING:
    from stream.check.status import Status

__all__ = ["app"]

app = typer.Typer()
_CLEAR = "\x1b[H\x1b[2J"


@command(app, rich_help_panel="Serve")
def status(
    kafka: Kafka,
    registry: Annotated[
        str | None,
        option("--registry", envvar="NEXTCLICK_REGISTRY", metavar="URL", help="What is live, by it."),
    ] = None,
    group: Group = "nextclick",
    worker: Annotated[
        list[str] | None,
        option("--worker", metavar="URL", help="A worker's web address, repeatable: http://host:8080."),
    ] = None,
    watch: Annotated[bool, option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every_s: Annotated[float, option(metavar="N", help="Seconds between two looks of --watch.")] = 2.0,
    json: Json = False,
) -> None:
    """Show the workers' group, its lag, models, experiments and topics. Joins nothing, changes nothing."""
    from stream.check.status import Look

    if not 0.1 <= every_s <= 86_400:
        raise ConfigError(f"--every-s must be 0.1 to 86400, not {every_s:g}")
    look = Look(
        bootstrap_servers=kafka.bootstrap_servers,
        group=group,
        topics=kafka.topic_names(),
        extra={"log_level": "0", **kafka.client()},
        registry=registry,
        workers=tuple(worker or ()),
    )
    with contextlib.suppress(KeyboardInterrupt) if watch else contextlib.nullcontext():
        while True:
            found = look.take()
            if json:
                print_json(msgspec.to_builtins(found))
            else:
                if watch and stdout().is_terminal:
                    sys.stdout.write(_CLEAR)
                _show(found)
            if not watch:
                return
            time.sleep(every_s)


def _show(found: "Status") -> None:
    oldest = "" if found.oldest_unanswered_s is None else f", the oldest {found.oldest_unanswered_s:.1f} s old"
    print_line(f"group {found.group}: {found.state or 'state not told'}, {len(found.members)} members")
    print_line(f"{found.lag} clicks behind{oldest}")
    owners = {number: one for one in found.members for number in one.partitions}
    _table(
        ["partition", "begin", "committed", "end", "lag", "member"],
        [
            [
                one.partition,
                one.begin,
                one.committed if one.committed >= 0 else "-",
                one.end,
                one.lag,
                f"{owners[one.partition].client} {owners[one.partition].host}" if one.partition in owners else "nobody",
            ]
            for one in found.partitions
        ],
    )
    _table(
        ["variant", "live", "announced"],
        [[one.variant, one.live or "-", one.announced or "-"] for one in found.variants],
    )
    _table(
        ["experiment", "sessions", "variants", "stopped"],
        [
            [
                one.experiment,
                f"{100 * one.exposure:g} %",
                ", ".join(f"{name}={version}" for name, version in one.variants.items()),
                ", ".join(one.stopped) or "-",
            ]
            for one in found.experiments
        ],
    )
    _table(["topic", "partitions", "messages"], [[one.topic, one.partitions, one.messages] for one in found.topics])
    _table(
        ["worker", "", "serving", "model", "lag", "reasons"],
        [
            [
                one.url,
                "ready" if one.ready else "standby" if one.standby else "not ready" if one.answers else "away",
                one.serving or "-",
                one.model or "-",
                sum(one.lag.values()),
                "; ".join(one.reasons) or "-",
            ]
            for one in found.workers
        ],
    )
    for words in found.problems:
        print_line(f"! {words}")


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    if rows:
        print_line("")
        print_table(columns, rows)
