"""`serve`: the read API."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.options.service import Serve

__all__ = ["app"]

app = typer.Typer()
LISTS = "The lists"
FALLBACK = "Sessions without a list"
ACCESS = "Who may ask"
BOUNDS = "Bounds"


@command(app, rich_help_panel="Serve")
def serve(
    kafka: Kafka,
    redis: Annotated[
        str | None,
        option(
            envvar="NEXTCLICK_REDIS",
            metavar="URL",
            help="Read lists from redis://HOST:PORT/DB, as workers with --redis put them there; none is kept here.",
            rich_help_panel=LISTS,
        ),
    ] = None,
    ttl: Annotated[int, option(metavar="S", help="How long a list is kept.", rich_help_panel=LISTS)] = 1800,
    from_s: Annotated[
        float | None,
        option(metavar="S", help="At the start, read lists of the last S seconds [--ttl].", rich_help_panel=LISTS),
    ] = None,
    memory_mb: Annotated[int, option(metavar="N", help="Lists that are kept.", rich_help_panel=LISTS)] = 512,
    similar_mb: Annotated[
        int, option(metavar="N", help="Similar items that are kept; 0: none.", rich_help_panel=LISTS)
    ] = 512,
    fallback: Annotated[
        str | None,
        option(metavar="REGISTRY", help="They get its live model's popular items; else 404.", rich_help_panel=FALLBACK),
    ] = None,
    policy: Annotated[
        Path | None,
        option(metavar="FILE", help="What these leave out, and placements; as for workers.", rich_help_panel=FALLBACK),
    ] = None,
    k: Annotated[int, option("--k", metavar="N", help="How many, if it does not say.", rich_help_panel=FALLBACK)] = 20,
    max_items: Annotated[
        int, option(metavar="N", help="Items of the topic items that are kept for it.", rich_help_panel=FALLBACK)
    ] = 2_000_000,
    api_keys: Annotated[
        Path | None,
        option(
            envvar="NEXTCLICK_API_KEYS",
            metavar="FILE",
            help="Lines of NAME RIGHTS KEY; rights: read, write, erase.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    without_keys: Annotated[
        bool, option("--without-keys", help="Whoever reaches it may read and write.", rich_help_panel=ACCESS)
    ] = False,
    cors: Annotated[
        list[str] | None,
        option(metavar="ORIGIN", help="Pages of this origin may read it; repeatable; *: all.", rich_help_panel=ACCESS),
    ] = None,
    max_waiting: Annotated[
        int, option(metavar="N", help="Requests that wait for updates.", rich_help_panel=BOUNDS)
    ] = 10_000,
    longest_wait_s: Annotated[float, option(metavar="S", help="Of a long poll.", rich_help_panel=BOUNDS)] = 60.0,
    max_body_kb: Annotated[int, option(metavar="N", help="Of a request.", rich_help_panel=BOUNDS)] = 1024,
    max_clicks: Annotated[int, option(metavar="N", help="Of a request.", rich_help_panel=BOUNDS)] = 1000,
    confirm_s: Annotated[
        float, option(metavar="S", help="For the broker to have a click.", rich_help_panel=BOUNDS)
    ] = 5.0,
    process: Serve = Serve(),
) -> None:
    """Newest lists, updates and similar items over HTTP, and clicks the other way; /openapi.json says how."""
    from stream.kafka.clients import wait_for_broker
    from stream.ops.signals import StopSignal
    from stream.serve.config import ServeConfig
    from stream.serve.service import ServeService

    config = ServeConfig(
        host=process.web_host,
        port=process.web_port,
        keys=api_keys,
        without_keys=without_keys,
        origins=tuple(cors or ()),
        redis_url=redis,
        ttl_s=ttl,
        window_s=from_s,
        memory_mb=memory_mb,
        similar_mb=similar_mb,
        fallback=fallback,
        policy=policy,
        k=k,
        max_items=max_items,
        max_waiting=max_waiting,
        longest_wait_s=longest_wait_s,
        max_body_kb=max_body_kb,
        max_clicks=max_clicks,
        confirm_s=confirm_s,
    )
    process.log_as_told()
    stop = StopSignal()
    topics, client = kafka.topic_names(), kafka.client()
    service = ServeService(kafka.bootstrap_servers, topics, client, config=config)
    wait_for_broker(kafka.bootstrap_servers, client, stopped=stop.event)
    service.check()
    asyncio.run(service.run(stop.event))
