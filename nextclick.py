"""The command line: each part's commands in one program, and errors mapped to exit codes.

    cli/learning.py    train, evaluate
    cli/bundles.py   recommend, models list
    cli/streaming.py   demo, simulate, worker, watch, topics create, models promote and rollback
    here            replay, which reads a log as model does and sends it as stream does

A command parses, fills a config and calls one function of a part. `--json` on any of them makes the last line of stdout
one JSON object; progress and logs go to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or input. The environment
(NEXTCLICK_*) is read by the options only. Parts are imported inside the commands: a worker's machine has no torch.
"""

import dataclasses
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer

import cli.bundles
import cli.learning
import cli.streaming
from cli.learning import (
    Data,
    Format,
    ItemColumn,
    MaxBadShare,
    SessionColumn,
    TimeColumn,
    TimeUnit,
    TypeColumn,
    read_options,
)
from cli.options import Json, option, report, stderr
from cli.streaming import Bootstrap, Kafka, KafkaConfig, kafka_options
from cli.topic_names import TopicFile, TopicPrefix, topic_names
from export.errors import NextclickError

if TYPE_CHECKING:
    from stream.kafka.replay import LoggedClick

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # keeps the brackets around defaults
    help="Clicks on Kafka in, the next items out, ranked by a Transformer.",
)
for part in (cli.streaming.app, cli.learning.app, cli.bundles.app):
    app.add_typer(part)
app.add_typer(cli.streaming.topics, name="topics")
app.add_typer(cli.bundles.models, name="models")


@app.command()
def replay(
    data: Data,
    bootstrap_servers: Bootstrap,
    rate: Annotated[float, option(help="Clicks a second; 0: as fast as it goes.")] = 0.0,
    limit: Annotated[int | None, option(help="Stop after so many clicks.")] = None,
    now: Annotated[bool, option("--now", help="Stamp clicks with the present instead of the log's time.")] = False,
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    topic_file: TopicFile = None,
    topic_prefix: TopicPrefix = "",
    format: Format = None,
    session_column: SessionColumn = "session_id",
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = None,
    type_column: TypeColumn = None,
    time_unit: TimeUnit = "ms",
    max_bad_share: MaxBadShare = 0.01,
    json: Json = False,
) -> None:
    """Send a click log as live clicks, in the order of time."""
    from model.data.readers import KINDS, iter_clicks, read_log
    from stream.kafka.replay import replay as send

    read = read_options(format, session_column, item_column, time_column, type_column, time_unit, max_bad_share)
    # Skips are sent as they came, and the worker's own time-out cuts sessions
    read = dataclasses.replace(read, kinds=frozenset(KINDS), session_gap_ms=0)
    extra = kafka_options(kafka, kafka_config)
    raw = read_log(data, read)
    stderr.print(raw.report.summary(), highlight=False)
    clicks = cast("Iterator[LoggedClick]", iter_clicks(raw))
    sent = send(
        clicks,
        bootstrap_servers=bootstrap_servers,
        topic=topic_names(topic_file, topic_prefix).clicks,
        rate=rate or None,
        limit=limit,
        now=now,
        extra=extra,
    )
    report(msgspec.to_builtins(sent), json)


def main() -> None:
    """Run a command; an error raised on purpose becomes one line on stderr and its exit code."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        app()
    except NextclickError as error:
        stderr.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
