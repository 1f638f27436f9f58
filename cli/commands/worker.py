"""`worker`: answers clicks."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import ListLength, RegistryUrl, Threads, Variant
from cli.options.group import command, option
from cli.options.kafka import Group, Kafka
from cli.options.service import Worker
from export.garbage import uncollected
from export.providers import Provider
from stream.config import Guarantee
from stream.path.policy import Exclude

__all__ = ["app"]

app = typer.Typer()
LISTS = "The lists"
SESSIONS = "Sessions"
PROCESS = "The process"


@command(app, rich_help_panel="Serve")
def worker(
    kafka: Kafka,
    registry: RegistryUrl,
    group: Group = "nextclick",
    variant: Variant = "default",
    k: ListLength = 20,
    exclude: Annotated[
        Exclude, option(help="Keep items of the session out of its list.", rich_help_panel=LISTS)
    ] = "none",
    blocked_items: Annotated[
        Path | None,
        option(metavar="FILE", help="File of item ids never shown, one a line.", rich_help_panel=LISTS),
    ] = None,
    policy: Annotated[
        Path | None,
        option(
            metavar="FILE",
            help="TOML file of policies and placements, in place of the options above; followed while running.",
            rich_help_panel=LISTS,
        ),
    ] = None,
    preference: Annotated[
        float,
        option(
            metavar="N",
            help="0: clicks, 1: orders; for a model trained with preferences.",
            rich_help_panel=LISTS,
        ),
    ] = 0.5,
    guarantee: Annotated[
        Guarantee,
        option(
            metavar="NAME",
            help="at-least-once, or exactly-once: readers of committed messages see each answer once, 10 to 20 ms "
            "later.",
            rich_help_panel=LISTS,
        ),
    ] = "at-least-once",
    redis: Annotated[
        str | None,
        option(
            envvar="NEXTCLICK_REDIS",
            metavar="URL",
            help="Also write lists to redis://HOST:PORT/DB, redis+cluster:// or redis+sentinel://.",
            rich_help_panel=LISTS,
        ),
    ] = None,
    redis_ttl: Annotated[int, option(help="Seconds a list stays in Redis.", rich_help_panel=LISTS)] = 1800,
    session_timeout_minutes: Annotated[
        float, option(metavar="N", help="A longer silence starts a new session.", rich_help_panel=SESSIONS)
    ] = 30.0,
    session_grace_minutes: Annotated[
        float,
        option(
            metavar="N",
            help="How late a click may come; a session is forgotten so long after its time-out.",
            rich_help_panel=SESSIONS,
        ),
    ] = 10.0,
    broker_session_timeout_s: Annotated[
        float,
        option(metavar="N", help="Silence after which a worker counts as dead.", rich_help_panel=PROCESS),
    ] = 10.0,
    provider: Annotated[Provider, option(help="Where the graph runs.", rich_help_panel=PROCESS)] = "cpu",
    threads: Threads = 0,
    processes: Annotated[
        int,
        option(
            help="So many workers, each started again when it ends; their web ports follow --web-port. 0: just this.",
            rich_help_panel=PROCESS,
        ),
    ] = 0,
    topics_look_s: Annotated[
        float,
        option(
            metavar="N",
            help="Seconds between two looks at the topics.",
            rich_help_panel=PROCESS,
        ),
    ] = 10.0,
    max_items: Annotated[
        int,
        option(metavar="N", help="Items of the topic items that are kept.", rich_help_panel=PROCESS),
    ] = 2_000_000,
    max_embedded: Annotated[
        int,
        option(
            metavar="N",
            help="Items newer than the model, or changed since, that are ranked by what the topic items says.",
            rich_help_panel=PROCESS,
        ),
    ] = 20_000,
    reset_state: Annotated[
        bool,
        option(
            "--reset-state",
            help="Forget states of other clicks, once the clicks' topic was made again.",
            rich_help_panel=SESSIONS,
        ),
    ] = False,
    process: Worker = Worker(),
) -> None:
    """Answer clicks until stopped; as many of these as there are partitions."""
    from stream.config import StreamConfig
    from stream.partition.session import SessionConfig
    from stream.path.policy import PolicyConfig

    config = StreamConfig(
        bootstrap_servers=kafka.bootstrap_servers,
        registry=registry,
        group=group,
        variant=variant,
        topics=kafka.topic_names(),
        k=k,
        session=SessionConfig(
            timeout_ms=round(session_timeout_minutes * 60_000), grace_ms=round(session_grace_minutes * 60_000)
        ),
        policy=PolicyConfig(file=policy, exclude=exclude, blocked_items=blocked_items),
        guarantee=guarantee,
        provider=provider,
        threads=threads,
        preference=preference,
        redis_url=redis,
        redis_ttl_s=redis_ttl,
        web_host=process.web_host,
        web_port=process.web_port,
        kafka=kafka.client(),
        log_level=process.log_level,
        broker_session_timeout_s=broker_session_timeout_s,
        broker_heartbeat_s=min(broker_session_timeout_s / 4, 0.3),
        delivery_timeout_s=broker_session_timeout_s * 0.8,
        topics_look_s=topics_look_s,
        reset_state=reset_state,
        max_items=max_items,
        max_embedded=max_embedded,
    )
    process.log_as_told()
    if processes:
        from stream.ops.supervisor import SupervisorConfig, supervise

        workers = SupervisorConfig(processes=processes, web_port=process.web_port, threads=threads)
        raise typer.Exit(supervise([sys.executable, *sys.argv], workers))
    with uncollected(stays=True):
        from stream.worker import run_worker

    raise typer.Exit(run_worker(config))
