"""`check`: what is wrong before a worker starts."""

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cli.options.common import Json, ListLength, RegistryUrl, Variant
from cli.options.group import command, option
from cli.options.kafka import Group, Kafka
from cli.output import print_json, print_line, print_table, say
from export.providers import Provider
from stream.config import Guarantee

__all__ = ["app"]

app = typer.Typer()
WORKER = "As the worker is started"


def _option(help: str, **settings: Any) -> Any:
    return option(help=help, rich_help_panel=WORKER, **settings)


@command(app, rich_help_panel="Serve")
def check(
    kafka: Kafka,
    registry: RegistryUrl,
    group: Group = "nextclick",
    variant: Variant = "default",
    k: ListLength = 20,
    policy: Annotated[Path | None, _option("TOML file of policies.", metavar="FILE")] = None,
    guarantee: Annotated[Guarantee, _option("at-least-once, or exactly-once.", metavar="NAME")] = "at-least-once",
    redis: Annotated[
        str | None, _option("Where lists are also written.", envvar="NEXTCLICK_REDIS", metavar="URL")
    ] = None,
    provider: Annotated[Provider, _option("Where the graph runs.")] = "cpu",
    session_timeout_minutes: Annotated[float, _option("Of a session.", metavar="N")] = 30.0,
    session_grace_minutes: Annotated[float, _option("How late a click may come.", metavar="N")] = 10.0,
    broker_session_timeout_s: Annotated[float, _option("Of a worker in its group.", metavar="N")] = 10.0,
    records: Annotated[int, option(metavar="N", help="Newest clicks looked at, of each partition.")] = 2_000,
    limit_s: Annotated[float, option(metavar="N", help="Seconds that one check may take.")] = 30.0,
    json: Json = False,
) -> None:
    """Say what is wrong with the cluster, registry and Redis before a worker starts.

    Exit code 2 with errors, 1 with warnings, else 0. Changes nothing.
    """
    from stream.check.finding import exit_code
    from stream.check.run import CheckConfig, Checker
    from stream.config import StreamConfig
    from stream.partition.session import SessionConfig
    from stream.path.policy import PolicyConfig

    worker = StreamConfig(
        bootstrap_servers=kafka.bootstrap_servers,
        registry=registry,
        group=group,
        variant=variant,
        topics=kafka.topic_names(),
        k=k,
        session=SessionConfig(
            timeout_ms=round(session_timeout_minutes * 60_000), grace_ms=round(session_grace_minutes * 60_000)
        ),
        policy=PolicyConfig(file=policy),
        guarantee=guarantee,
        provider=provider,
        redis_url=redis,
        kafka={"log_level": "0", **kafka.client()},  # what the client has to say is in the findings
        broker_session_timeout_s=broker_session_timeout_s,
        broker_heartbeat_s=min(broker_session_timeout_s / 4, 0.3),
        delivery_timeout_s=broker_session_timeout_s * 0.8,
    )
    begun = time.monotonic()
    checker = Checker(
        CheckConfig(worker=worker, records=records, limit_s=limit_s), on_check=lambda it: say(f"{it} ...")
    )
    found = checker.run()
    counts = {kind: sum(one.severity == kind for one in found) for kind in ("error", "warning", "info")}
    code = exit_code(found)
    if json:
        print_json(
            {
                "findings": msgspec.to_builtins(found),
                **{f"{kind}s": count for kind, count in counts.items()},
                "checks": checker.done,
                "exit_code": code,
                "took_s": round(time.monotonic() - begun, 3),
            }
        )
    else:
        if found:
            print_table(
                ["", "where", "what, and what to do"],
                [
                    [one.severity, one.where, one.what + (f". {_upper(one.remedy)}" if one.remedy else "")]
                    for one in found
                ],
            )
        print_line(f"{len(checker.done)} checks: {counts['error']} errors, {counts['warning']} warnings")
    raise typer.Exit(code)


def _upper(text: str) -> str:
    """A remedy as a sentence, unless it is a command."""
    return text if text.startswith(("nextclick", "kafka-")) else text[:1].upper() + text[1:]
