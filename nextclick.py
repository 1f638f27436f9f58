"""The command line: parses, fills a config, calls one function of a part, maps errors to exit codes.

`--json` on any command makes the last line of stdout one JSON object; progress and logs go to stderr.
Exit codes: 0 done, 1 failed, 2 wrong usage or input. The only place that reads the environment (NEXTCLICK_*).
Parts are imported inside the commands: a worker's machine has no torch.
"""

import dataclasses
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from export.errors import ConfigError, NextclickError

if TYPE_CHECKING:
    from export.registry import Registry
    from model.progress import OnProgress
    from model.readers import ReadOptions
    from stream.replay import LoggedClick

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # keeps the brackets around defaults
    help="Clicks on Kafka in, the next items out, ranked by a Transformer.",
)
models_app = typer.Typer(no_args_is_help=True, help="The registry: which versions there are, and which one is live.")
topics_app = typer.Typer(no_args_is_help=True, help="The Kafka topics that nextclick works with.")
app.add_typer(models_app, name="models")
app.add_typer(topics_app, name="topics")

stderr = Console(stderr=True)


class Provider(StrEnum):
    """Where the graph runs."""

    cpu = "cpu"
    cuda = "cuda"


class Guarantee(StrEnum):
    """What becomes of a click's answer when a worker fails."""

    at_least_once = "at-least-once"
    exactly_once = "exactly-once"


class Exclude(StrEnum):
    """Which items of the session stay out of its list."""

    none = "none"
    seen = "seen"


def option(*names: str, **settings: Any) -> Any:
    """A Typer option; short, as there are many of them."""
    return typer.Option(*names, **settings)


Bootstrap = Annotated[
    str, option("--bootstrap-servers", envvar="NEXTCLICK_BOOTSTRAP_SERVERS", help="Kafka brokers: host:port[,…].")
]
RegistryUrl = Annotated[
    str, option("--registry", envvar="NEXTCLICK_REGISTRY", help="Bundles: a directory or an fsspec URL.")
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
        help="Tell running workers; left out, they learn at their start.",
    ),
]
Variant = Annotated[str, option("--variant", help="Which variant's model.")]
Json = Annotated[bool, option("--json", help="The last line of stdout is one JSON object.")]
Data = Annotated[Path, option("--data", help="Click log: a file, or a folder of files.")]
Format = Annotated[str | None, option("--format", help="otto, yoochoose, diginetica, retailrocket, csv or parquet.")]
SessionColumn = Annotated[str, option("--session-column", help="Name of the session column (CSV, Parquet).")]
ItemColumn = Annotated[str, option("--item-column", help="Name of the item column.")]
TimeColumn = Annotated[str | None, option("--time-column", help="Name of the time column [timestamp or ts].")]
TypeColumn = Annotated[str | None, option("--type-column", help="Name of the column with the kind of event [type].")]
MaxBadShare = Annotated[float, option("--max-bad-share", help="Refuse a log with a larger share of bad lines.")]
Cutoffs = Annotated[str, option("--cutoffs", help="Cut-offs of the measures, separated by commas.")]
Threads = Annotated[int, option("--threads", help="CPU threads; 0: one a core.")]


@app.command()
def demo(
    seconds: Annotated[float | None, option(help="Stop after so long [until Ctrl-C].")] = None,
    seed: Annotated[int, option(help="Of the simulated shop and its shoppers.")] = 0,
    json: Json = False,
) -> None:
    """A simulated shop, a trainer, a worker and live shoppers, on an in-process cluster."""
    from stream.demo.run import DemoConfig, run_demo

    result = run_demo(DemoConfig(seconds=seconds, seed=seed, live=not json and stderr.is_terminal))
    _report(msgspec.to_builtins(result), json)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .parquet.")],
    sessions: Annotated[int, option(help="Shopper sessions.")] = 20_000,
    items: Annotated[int, option(help="Items of the shop.")] = 2_000,
    seed: Annotated[int, option(help="The same seed writes the same log.")] = 0,
    json: Json = False,
) -> None:
    """Write the click log of a simulated shop."""
    from stream.demo.simulator import ShopConfig, simulate_log

    clicks = simulate_log(out, ShopConfig(items=items, seed=seed), sessions)
    _report({"path": str(out), "sessions": sessions, "clicks": clicks}, json)


@app.command()
def train(
    data: Data,
    registry: RegistryUrl,
    valid: Annotated[Path | None, option(help="Held-out log [the newest day or tenth of --data].")] = None,
    preset: Annotated[str, option(help="Named model.")] = "tron",
    epochs: Annotated[float | None, option(help="Passes over the log [the preset's].")] = None,
    seed: Annotated[int, option(help="The same seed gives the same model.")] = 0,
    negatives: Annotated[int | None, option(help="Negatives drawn for a batch [the preset's].")] = None,
    lr: Annotated[float | None, option(help="Learning rate [the preset's].")] = None,
    batch: Annotated[int | None, option(help="Sessions a step [the preset's].")] = None,
    positions: Annotated[str | None, option(help="start, end, rotary or none: how positions are told.")] = None,
    device: Annotated[Provider, option(help="Where to train.")] = Provider.cpu,
    precision: Annotated[str, option(help="auto, float32 or bfloat16: of products with the catalogue.")] = "auto",
    threads: Threads = 0,
    max_seconds: Annotated[float | None, option(help="Stop training after so long and export the best so far.")] = None,
    min_support: Annotated[int, option(help="Leave out items with fewer clicks.")] = 1,
    checkpoint_dir: Annotated[Path | None, option(help="Where to resume from [under the registry].")] = None,
    resume: Annotated[bool, option(help="Go on from the checkpoint of the same run.")] = True,
    init_from: Annotated[Path | None, option(help="Checkpoint folder of an earlier run to start from.")] = None,
    exact: Annotated[bool, option(help="Never score in int8, even where that gives the same lists.")] = False,
    format: Format = None,
    session_column: SessionColumn = "session_id",
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = None,
    type_column: TypeColumn = None,
    max_bad_share: MaxBadShare = 0.01,
    json: Json = False,
) -> None:
    """Train on a click log, export, check, and publish a bundle into the registry.

    Several processes train one model under torchrun: torchrun --nproc-per-node 2 -m nextclick train …
    """
    from model.openmp import spin_briefly

    spin_briefly()
    from model.pipeline import TrainRequest, train_to_registry
    from model.presets import preset as named

    sampling = {"popular" if named(preset).negatives.popular else "uniform": negatives}
    chosen = named(preset).override(
        epochs=epochs,
        reference=0 if epochs is not None else None,  # exactly as many as asked for
        min_epochs=0 if epochs is not None else None,
        min_steps=0 if epochs is not None else None,
        seed=seed,
        batch=batch,
        lr=lr,
        threads=threads,
        device=device.value,
        precision=precision,
        max_seconds=max_seconds,
        positions=positions,
        **sampling,
    )
    request = TrainRequest(
        data=data,
        valid=valid,
        registry=registry,
        preset=chosen,
        min_support=min_support,
        resume=resume,
        checkpoint_dir=checkpoint_dir,
        init_from=init_from,
        scoring="exact" if exact else "auto",
        read=_read_options(format, session_column, item_column, time_column, type_column, max_bad_share),
    )
    with _progress() as on_progress:
        summary = train_to_registry(request, on_progress)
    if summary is not None:  # else another process of this training publishes
        _report(summary.to_dict(), json)


@app.command()
def evaluate(
    data: Data,
    systems: Annotated[
        list[str] | None, typer.Argument(help="With --compare: folders of bundles and names of baselines.")
    ] = None,
    compare: Annotated[bool, option("--compare", help="Several systems on the same predictions.")] = False,
    bundle: Annotated[Path | None, option(help="Bundle to evaluate, through the ranker that serves it.")] = None,
    baseline: Annotated[str | None, option(help="popularity, next-item, items-after, co-occurrence, vmis-knn.")] = None,
    train: Annotated[Path | None, option(help="Log a baseline counts.")] = None,
    cutoffs: Cutoffs = "20",
    threads: Threads = 0,
    format: Format = None,
    session_column: SessionColumn = "session_id",
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = None,
    type_column: TypeColumn = None,
    max_bad_share: MaxBadShare = 0.01,
    json: Json = False,
) -> None:
    """Recall, MRR, NDCG and coverage: full ranking, every position after the first.

    --compare gives intervals too, by bootstrap over sessions, and differences to the system named first.
    """
    from model.report import evaluate_baseline, evaluate_bundle

    read = _read_options(format, session_column, item_column, time_column, type_column, max_bad_share)
    if compare and (bundle is not None or baseline is not None):
        raise ConfigError("--compare takes its systems as arguments: leave out --bundle and --baseline")
    if compare:
        return _compare(systems or [], data, read, train, _cutoffs(cutoffs), threads, json)
    if systems:
        raise ConfigError(f"{' '.join(systems)}: several systems are compared with --compare")
    if (bundle is None) == (baseline is None):
        raise ConfigError("name either --bundle DIR, or --baseline NAME with --train PATH")
    cuts = _cutoffs(cutoffs)
    if bundle is not None:
        metrics = evaluate_bundle(bundle, data, read, cuts, threads)
    elif train is None:
        raise ConfigError("a baseline counts a log: name it with --train PATH")
    else:
        metrics = evaluate_baseline(str(baseline), train, data, read, cuts)
    return _report(metrics, json)


def _compare(
    systems: list[str],
    data: Path,
    read: "ReadOptions",
    train: Path | None,
    cutoffs: tuple[int, ...],
    threads: int,
    json: bool,
) -> None:
    from model.compare import compare_systems
    from model.compare_table import print_comparison

    def say(text: str) -> None:
        stderr.print(text, markup=False, highlight=False, soft_wrap=True)

    found = compare_systems(systems, data, read, train=train, cutoffs=cutoffs, threads=threads, say=say)
    if json:
        return _print_json(found.to_json())
    return print_comparison(found)


@app.command()
def recommend(
    bundle: Annotated[Path, option(help="Folder of the bundle.")],
    items: Annotated[str, option(help="The session's items, oldest first, separated by commas.")],
    k: Annotated[int, option(help="Items in the list.")] = 20,
    json: Json = False,
) -> None:
    """One list by hand from a bundle."""
    from export.bundle import load_bundle
    from export.ranker import Ranker, RankerConfig

    session = [item.strip() for item in items.split(",") if item.strip()]
    ranked = Ranker(load_bundle(bundle), RankerConfig(warm_up=False)).rank_items([session], k)[0]
    rows = [{"item_id": item, "score": score} for item, score in ranked.items]
    if json:
        return _report({"items": rows, "fallback": ranked.fallback}, json)
    _table(["rank", "item", "score"], [[n, row["item_id"], f"{row['score']:.4f}"] for n, row in enumerate(rows, 1)])
    if ranked.fallback:
        stderr.print("the bundle knows none of these items: this is the popularity list")


@app.command()
def worker(
    bootstrap_servers: Bootstrap,
    registry: RegistryUrl,
    group: Group = "nextclick",
    k: Annotated[int, option(help="Items in a list.")] = 20,
    exclude: Annotated[Exclude, option(help="Keep items of the session out of its list.")] = Exclude.none,
    blocked_items: Annotated[Path | None, option(help="File of item ids never shown, one a line.")] = None,
    guarantee: Annotated[
        Guarantee, option(help="exactly-once: readers of committed messages see each answer once, some ms later.")
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
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    log_level: Annotated[str, option(envvar="NEXTCLICK_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Answer clicks until stopped; as many of these as there are partitions."""
    from stream.config import StreamConfig
    from stream.policy import PolicyConfig
    from stream.session import SessionConfig

    config = StreamConfig(
        bootstrap_servers=bootstrap_servers,
        registry=registry,
        group=group,
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
        kafka=_kafka_options(kafka, kafka_config),
        log_level=log_level,
        broker_session_timeout_s=broker_session_timeout_s,
        broker_heartbeat_s=min(broker_session_timeout_s / 4, 0.3),
        delivery_timeout_s=broker_session_timeout_s * 0.8,
    )
    logging.getLogger().setLevel(config.log_level.upper())
    if processes:
        from stream.supervisor import SupervisorConfig, supervise

        workers = SupervisorConfig(processes=processes, web_port=web_port, threads=threads)
        raise typer.Exit(supervise([sys.executable, *sys.argv], workers))
    from stream.worker import run_worker

    raise typer.Exit(run_worker(config))


@app.command()
def replay(
    data: Data,
    bootstrap_servers: Bootstrap,
    rate: Annotated[float, option(help="Clicks a second; 0: as fast as it goes.")] = 0.0,
    limit: Annotated[int | None, option(help="Stop after so many clicks.")] = None,
    now: Annotated[bool, option("--now", help="Stamp clicks with the present instead of the log's time.")] = False,
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    format: Format = None,
    session_column: SessionColumn = "session_id",
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = None,
    type_column: TypeColumn = None,
    max_bad_share: MaxBadShare = 0.01,
    json: Json = False,
) -> None:
    """Send a click log as live clicks, in the order of time."""
    from model.readers import KINDS, iter_clicks, read_log
    from stream.replay import replay as send

    read = _read_options(format, session_column, item_column, time_column, type_column, max_bad_share)
    # Skips are sent as they came, and the worker's own time-out cuts sessions
    read = dataclasses.replace(read, kinds=frozenset(KINDS), session_gap_ms=0)
    extra = _kafka_options(kafka, kafka_config)
    raw = read_log(data, read)
    stderr.print(raw.report.summary(), highlight=False)
    clicks = cast("Iterator[LoggedClick]", iter_clicks(raw))
    report = send(clicks, bootstrap_servers=bootstrap_servers, rate=rate or None, limit=limit, now=now, extra=extra)
    _report(msgspec.to_builtins(report), json)


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
    from stream.watch import watch as subscribe

    extra = _kafka_options(kafka, kafka_config)
    for found in subscribe(bootstrap_servers, from_beginning=from_beginning, limit=limit, extra=extra):
        if json:
            _print_json(msgspec.to_builtins(found))
            continue
        top = "  ".join(f"{item.item_id} {item.score:.2f}" for item in found.items[:5])
        print(
            f"{found.session_id}  model {found.model or '-'}{'  fallback' if found.fallback else ''}  {top}", flush=True
        )


@topics_app.command("create")
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
    from stream.topics import create_topics

    extra = _kafka_options(kafka, kafka_config)
    reports = create_topics(bootstrap_servers, partitions=partitions, replication=replication, group=group, extra=extra)
    if json:
        return _report({"topics": msgspec.to_builtins(reports)}, json)
    rows = [[topic.name, topic.partitions, "created" if topic.created else "was there"] for topic in reports]
    return _table(["topic", "partitions", ""], rows)


@models_app.command("list")
def models_list(registry: RegistryUrl, variant: Variant = "default", json: Json = False) -> None:
    """The versions of the registry, and which one is live."""
    from export.registry import Registry

    store = Registry(registry)
    live = store.live(variant)
    rows = [{"version": v, "live": v == live, "manifest": store.manifest(v)} for v in store.versions()]
    if json:
        return _report({"live": live, "models": msgspec.to_builtins(rows)}, json)
    _table(
        ["version", "live", "preset", "items", "validation"],
        [
            [
                m.version,
                "yes" if m.version == live else "",
                m.preset,
                m.items,
                "  ".join(f"{name} {value:.4f}" for name, value in m.valid.items() if "@" in name),
            ]
            for m in (store.manifest(v) for v in store.versions())
        ],
    )
    return None


@models_app.command("promote")
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
    from export.registry import Registry

    store = Registry(registry)
    store.promote(version, variant)
    _announce(store, version, variant, bootstrap_servers, _kafka_options(kafka, kafka_config), json)


@models_app.command("rollback")
def models_rollback(
    registry: RegistryUrl,
    bootstrap_servers: Announce = None,
    variant: Variant = "default",
    kafka: Kafka = None,
    kafka_config: KafkaConfig = None,
    json: Json = False,
) -> None:
    """Go back to the version that was live before, and tell the workers."""
    from export.registry import Registry

    store = Registry(registry)
    extra = _kafka_options(kafka, kafka_config)
    _announce(store, store.rollback(variant), variant, bootstrap_servers, extra, json)


def _announce(
    store: "Registry", version: str, variant: str, bootstrap_servers: str | None, extra: dict[str, str], json: bool
) -> None:
    from stream.announcements import announce, announcement_for

    if bootstrap_servers is not None:
        announce(bootstrap_servers, announcement_for(store, version, variant), extra=extra)
    _report({"version": version, "variant": variant, "announced": bootstrap_servers is not None}, json)


def _kafka_options(pairs: list[str] | None, file: Path | None) -> dict[str, str]:
    from stream.kafka import read_options

    return read_options(pairs or [], file, os.environ)


def _read_options(
    format: str | None, session: str, item: str, ts: str | None, kind: str | None, max_bad_share: float
) -> "ReadOptions":
    from model.readers import Columns, ReadOptions

    columns = Columns(session=session, item=item, ts=ts, type=kind)
    return ReadOptions(format=format, columns=columns, max_bad_share=max_bad_share)  # type: ignore[arg-type]  # checked there


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"cut-offs are whole numbers separated by commas, not {text!r}") from error


@contextmanager
def _progress() -> Iterator["OnProgress"]:
    from model.console import show_progress

    with show_progress(stderr) as on_progress:
        yield on_progress


def _print_json(value: Any) -> None:
    print(msgspec.json.encode(value).decode(), flush=True)


def _report(values: dict[str, Any], json: bool) -> None:
    """Print what a command found: one JSON line, or a table of names and values."""
    if json:
        return _print_json(values)
    flat = _flatten(values)
    _table(["", ""], [[name, f"{value:.4f}" if isinstance(value, float) else value] for name, value in flat.items()])
    return None


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flatten(value, f"{prefix}{name} ") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return flat


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    table = Table(*columns, box=None, show_header=any(columns))
    for row in rows:
        table.add_row(*(str(value) for value in row))
    Console().print(table)


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
