"""Commands on the stream: workers, topics, subscribers, the demo, and which model the workers serve."""

import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.bundles import models
from cli.options import (
    Json,
    Provider,
    RegistryUrl,
    Threads,
    Variant,
    option,
    print_json,
    print_table,
    report,
    stderr,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from export.registry.registry import Registry

__all__ = ["Bootstrap", "Kafka", "KafkaConfig", "app", "kafka_options"]

app = typer.Typer()
topics = typer.Typer(no_args_is_help=True, help="The Kafka topics that nextclick works with.")


class Guarantee(StrEnum):
    """What becomes of a click's answer when a worker fails."""

    at_least_once = "at-least-once"
    exactly_once = "exactly-once"


class Exclude(StrEnum):
    """Which items of the session stay out of its list."""

    none = "none"
    seen = "seen"


Bootstrap = Annotated[
    str, option("--bootstrap-servers", envvar="NEXTCLICK_BOOTSTRAP_SERVERS", help="Kafka brokers: host:port[,…].")
]
Group = Annotated[str, option("--group", envvar="NEXTCLICK_GROUP", help="Consumer group of the workers.")]
Kafka = Annotated[
    list[str] | None, option("--kafka", metavar="KEY=VALUE", help="Client option, repeatable: security.protocol=SSL.")
]
KafkaConfig = Annotated[
    Path | None,
    option(
        "--kafka-config",
        envvar="NEXTCLICK_KAFKA_CONFIG",
        help="File of client options, key=value lines. Passwords: here, or as NEXTCLICK_KAFKA_SASL_PASSWORD.",
    ),
]
Announce = Annotated[
    str | None,
    option(
        "--bootstrap-servers",
        envvar="NEXTCLICK_BOOTSTRAP_SERVERS",
        help="Tell the workers. Left out, they follow the registry only as long as nothing was announced.",
    ),
]


@app.command()
def demo(
    seconds: Annotated[float | None, option(help="Stop after so long [until Ctrl-C].")] = None,
    seed: Annotated[int, option(help="Of the simulated shop and its shoppers.")] = 0,
    json: Json = False,
) -> None:
    """A simulated shop, a trainer, a worker and live shoppers, on an in-process cluster."""
    from demo.run import DemoConfig, run_demo

    result = run_demo(DemoConfig(seconds=seconds, seed=seed, live=not json and stderr.is_terminal))
    report(msgspec.to_builtins(result), json)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .parquet.")],
    sessions: Annotated[int, option(help="Shopper sessions.")] = 20_000,
    items: Annotated[int, option(help="Items of the shop.")] = 2_000,
    seed: Annotated[int, option(help="The same seed writes the same log.")] = 0,
    json: Json = False,
) -> None:
    """Write the click log of a simulated shop."""
    from demo.simulator import ShopConfig, simulate_log

    clicks = simulate_log(out, ShopConfig(items=items, seed=seed), sessions)
    report({"path": str(out), "sessions": sessions, "clicks": clicks}, json)


@app.command()
def worker(
    bootstrap_servers: Bootstrap,
    registry: RegistryUrl,
    group: Group = "nextclick",
    variant: Variant = "default",
    k: Annotated[int, option(help="Items in a list.")] = 20,
    exclude: Annotated[Exclude, option(help="Keep items of the session out of its list.")] = Exclude.none,
    blocked_items: Annotated[Path | None, option(help="File of item ids never shown, one a line.")] = None,
    guarantee: Annotated[
        Guarantee,
        option(help="exactly-once: readers of committed messages see each answer once, 10 to 20 ms later."),
    ] = Guarantee.at_least_once,
    redis: Annotated[
        str | None, option(envvar="NEXTCLICK_REDIS", help="Also write lists to redis://HOST:PORT/DB.")
    ] = None,
    redis_ttl: Annotated[int, option(help="Seconds a list stays in Redis.")] = 1800,
    web_host: Annotated[str, option(help="Address of /health and /metrics.")] = "127.0.0.1",
    web_port: Annotated[int, option(help="Port of /health and /metrics; 0: a free one, printed.")] = 8080,
    provider: Annotated[Provider, option(help="Where the graph runs.")] = Provider.cpu,
    threads: Threads = 0,
    session_timeout_minutes: Annotated[float, option(help="A longer silence starts a new session.")] = 30.0,
    session_grace_minutes: Annotated[
        float, option(help="How late a click may come; a session is forgotten so long after its time-out.")
    ] = 10.0,
    broker_session_timeout_s: Annotated[float, option(help="Silence after which a worker counts as dead.")] = 10.0,
    processes: Annotated[
        int,
        option(
            help="So many workers, each started again when it ends; their web ports follow --web-port. 0: just this."
        ),
    ] = 0,
    topics_look_s: Annotated[
        float, option(help="Between two looks at the topics: deleted, made again, more partitions?")
    ] = 10.0,
    reset_state: Annotated[
        bool,
        option("--reset-state", help="Forget states that are of other clicks: after the clicks' topic was made again."),
    ] = False,
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    log_level: Annotated[str, option(envvar="NEXTCLICK_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Answer clicks until stopped; as many of these as there are partitions."""
    from stream.config import StreamConfig
    from stream.partition.session import SessionConfig
    from stream.path.policy import PolicyConfig

    config = StreamConfig(
        bootstrap_servers=bootstrap_servers,
        registry=registry,
        group=group,
        variant=variant,
        k=k,
        session=SessionConfig(
            timeout_ms=round(session_timeout_minutes * 60_000), grace_ms=round(session_grace_minutes * 60_000)
        ),
        policy=PolicyConfig(exclude=exclude.value, blocked_items=blocked_items),
        guarantee=guarantee.value,
        provider=provider.value,
        threads=threads,
        redis_url=redis,
        redis_ttl_s=redis_ttl,
        web_host=web_host,
        web_port=web_port,
        kafka=kafka_options(kafka, kafka_config),
        log_level=log_level,
        broker_session_timeout_s=broker_session_timeout_s,
        broker_heartbeat_s=min(broker_session_timeout_s / 4, 0.3),
        delivery_timeout_s=broker_session_timeout_s * 0.8,
        topics_look_s=topics_look_s,
        reset_state=reset_state,
    )
    logging.getLogger().setLevel(config.log_level.upper())
    if processes:
        from stream.ops.supervisor import SupervisorConfig, supervise

        workers = SupervisorConfig(processes=processes, web_port=web_port, threads=threads)
        raise typer.Exit(supervise([sys.executable, *sys.argv], workers))
    from stream.worker import run_worker

    raise typer.Exit(run_worker(config))


@app.command()
def watch(
    bootstrap_servers: Bootstrap,
    from_beginning: Annotated[bool, option("--from-beginning", help="Start with the oldest one kept.")] = False,
    limit: Annotated[int | None, option(help="Stop after so many.")] = None,
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    json: Json = False,
) -> None:
    """Print recommendations as they come."""
    from stream.kafka.watch import watch as subscribe

    extra = kafka_options(kafka, kafka_config)
    for found in subscribe(bootstrap_servers, from_beginning=from_beginning, limit=limit, extra=extra):
        if json:
            print_json(msgspec.to_builtins(found))
            continue
        top = "  ".join(f"{item.item_id} {item.score:.2f}" for item in found.items[:5])
        print(
            f"{found.session_id}  model {found.model or '-'}{'  fallback' if found.fallback else ''}  {top}", flush=True
        )


@topics.command("create")
def topics_create(
    bootstrap_servers: Bootstrap,
    partitions: Annotated[int, option(help="Of clicks: the most workers there can be.")] = 4,
    replication: Annotated[int, option(help="Copies of each partition.")] = 1,
    group: Group = "nextclick",
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    json: Json = False,
) -> None:
    """Make the topics; those that exist are checked."""
    from stream.kafka.topics import create_topics

    extra = kafka_options(kafka, kafka_config)
    reports = create_topics(bootstrap_servers, partitions=partitions, replication=replication, group=group, extra=extra)
    if json:
        return report({"topics": msgspec.to_builtins(reports)}, json)
    rows = [[topic.name, topic.partitions, "created" if topic.created else "was there"] for topic in reports]
    return print_table(["topic", "partitions", ""], rows)


@models.command("promote")
def models_promote(
    version: Annotated[str, typer.Argument(help="Version to serve.")],
    registry: RegistryUrl,
    bootstrap_servers: Announce = None,
    variant: Variant = "default",
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    json: Json = False,
) -> None:
    """Make a version live and tell the workers."""
    extra = kafka_options(kafka, kafka_config)
    _make_live(lambda store: store.promote(version, variant), registry, variant, bootstrap_servers, extra, json)


@models.command("rollback")
def models_rollback(
    registry: RegistryUrl,
    bootstrap_servers: Announce = None,
    variant: Variant = "default",
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    json: Json = False,
) -> None:
    """Go back to the version that was live before, and tell the workers."""
    extra = kafka_options(kafka, kafka_config)
    _make_live(lambda store: store.rollback(variant), registry, variant, bootstrap_servers, extra, json)


def _make_live(
    change: "Callable[[Registry], object]",
    registry: str,
    variant: str,
    bootstrap_servers: str | None,
    extra: dict[str, str],
    json: bool,
) -> None:
    from export.registry.registry import Registry
    from stream.models.promotion import make_live

    version = make_live(Registry(registry), change, variant=variant, bootstrap_servers=bootstrap_servers, extra=extra)
    report({"version": version, "variant": variant, "announced": bootstrap_servers is not None}, json)


def kafka_options(pairs: list[str] | None, file: Path | None) -> dict[str, str]:
    """Client options from the command line, the environment and a file."""
    from stream.kafka.clients import read_options

    return read_options(pairs or [], file, os.environ)
