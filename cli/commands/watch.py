"""`watch`: recommendations as they come."""

from typing import Annotated

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.output import print_json, print_line

__all__ = ["app"]

app = typer.Typer()


@command(app, rich_help_panel="Serve")
def watch(
    kafka: Kafka,
    from_beginning: Annotated[bool, option("--from-beginning", help="Start with the oldest one kept.")] = False,
    limit: Annotated[int | None, option(help="Stop after so many.")] = None,
    json: Json = False,
) -> None:
    """Print recommendations as they come."""
    from stream.kafka.watch import watch as subscribe

    topics = kafka.topic_names()
    servers, client = kafka.bootstrap_servers, kafka.client()
    found = subscribe(servers, topics=topics, from_beginning=from_beginning, limit=limit, extra=client)
    for one in found:
        if json:
            print_json(msgspec.to_builtins(one))
            continue
        top = "  ".join(f"{item.item_id} {item.score:.2f}" for item in one.items[:5])
        shown = f"  {one.experiment}: {one.variant}" if one.experiment else ""
        fallback = "  fallback" if one.fallback else ""
        print_line(f"{one.session_id}  model {one.model or '-'}{shown}{fallback}  {top}")
