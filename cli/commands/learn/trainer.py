"""`trainer`: turns clicks into versions by itself."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import Json, RegistryUrl, Variant
from cli.options.group import command, option
from cli.options.item_table import ItemTable
from cli.options.kafka import Kafka
from cli.options.mlflow import Mlflow, tracking_uri
from cli.options.reading import Reading
from cli.options.service import Trainer as Process
from cli.options.settings import Settings
from cli.output import report
from export.errors import ConfigError

__all__ = ["app"]

app = typer.Typer()
WHEN = "When"
CLICKS = "The clicks"
MODEL = "The model"
GATE = "The gate"
PROCESS = "The process"
GROUP = "nextclick-trainer"


@command(app, rich_help_panel="Train and measure")
def trainer(
    kafka: Kafka,
    registry: RegistryUrl,
    read: Reading,
    item_table: ItemTable,
    once: Annotated[
        bool, option("--once", help="Read what is there, run one cycle, end.", rich_help_panel=WHEN)
    ] = False,
    every: Annotated[
        str, option(metavar="SPAN", help="Between two full trainings: 10m, 6h, 1d.", rich_help_panel=WHEN)
    ] = "6h",
    after_clicks: Annotated[
        int | None, option(help="Train as soon as so many clicks are new.", rich_help_panel=WHEN)
    ] = None,
    fresh_every: Annotated[
        str | None,
        option(metavar="SPAN", help="In between, learn only what is new, so often [never].", rich_help_panel=WHEN),
    ] = None,
    data: Annotated[
        Path | None, option(metavar="PATH", help="Click log to begin with, before the topic.", rich_help_panel=CLICKS)
    ] = None,
    store: Annotated[
        str | None, option(metavar="URL", help="Where clicks are kept [REGISTRY/.clicks].", rich_help_panel=CLICKS)
    ] = None,
    window: Annotated[str, option(metavar="SPAN", help="How much is learned from.", rich_help_panel=CLICKS)] = "14d",
    window_mb: Annotated[int, option(help="And at most so many megabytes.", rich_help_panel=CLICKS)] = 2048,
    session_timeout_minutes: Annotated[
        float, option(metavar="N", help="A longer silence starts a new session.", rich_help_panel=CLICKS)
    ] = 30.0,
    max_items: Annotated[
        int, option(metavar="N", help="Items of the topic items that are kept.", min=1, rich_help_panel=CLICKS)
    ] = 2_000_000,
    reset_offsets: Annotated[
        bool,
        option(
            "--reset-offsets", help="Read a topic that was made again from its oldest click.", rich_help_panel=CLICKS
        ),
    ] = False,
    flush_s: Annotated[
        float, option(metavar="N", help="Seconds until a click is stored.", rich_help_panel=CLICKS)
    ] = 30.0,
    preset: Annotated[str, option(metavar="NAME", help="Named model.", rich_help_panel=MODEL)] = "tron-fast",
    settings: Settings = None,
    counts: Annotated[
        str | None,
        option(
            metavar="KIND", help="auto, on or off: counts behind the network [the preset's].", rich_help_panel=MODEL
        ),
    ] = None,
    warm: Annotated[
        bool, option("--warm/--scratch", help="Start a full training from the last version.", rich_help_panel=MODEL)
    ] = False,
    refit: Annotated[
        bool, option(help="Learn the newest clicks too, before publishing.", rich_help_panel=MODEL)
    ] = True,
    min_support: Annotated[int, option(help="Leave out items with fewer clicks.", min=1, rich_help_panel=MODEL)] = 1,
    min_sessions: Annotated[int, option(help="Before the first training.", min=1, rich_help_panel=MODEL)] = 500,
    max_seconds: Annotated[float | None, option(help="Of one training [none].", rich_help_panel=MODEL)] = None,
    exact: Annotated[bool, option("--exact", help="Never score in int8.", rich_help_panel=MODEL)] = False,
    seed: Annotated[int, option(help="The same seed gives the same model.", min=0, rich_help_panel=MODEL)] = 0,
    variant: Variant = "default",
    tolerance: Annotated[
        float, option(help="Recall and MRR may be so much below the live model's.", rich_help_panel=GATE)
    ] = 0.005,
    slack: Annotated[
        float, option(help="Recall may be so much below the best baseline's.", rich_help_panel=GATE)
    ] = 0.0,
    baselines: Annotated[
        str, option(metavar="NAMES", help="Baselines to be above, by commas.", rich_help_panel=GATE)
    ] = "popularity, items-after, vmis-knn",
    min_coverage: Annotated[
        float, option(help="Coverage, as a share of the live model's.", rich_help_panel=GATE)
    ] = 0.5,
    max_fallback: Annotated[float, option(help="Share of lists by popularity.", rich_help_panel=GATE)] = 0.5,
    gate_sessions: Annotated[
        int, option(help="New to the live model, to compare with it.", min=1, rich_help_panel=GATE)
    ] = 100,
    work: Annotated[
        Path | None, option(metavar="DIR", help="Checkpoints [REGISTRY/.trainer].", rich_help_panel=PROCESS)
    ] = None,
    keep_versions: Annotated[int, option(metavar="N", help="In the registry.", min=1, rich_help_panel=PROCESS)] = 20,
    threads: Annotated[
        int, option(metavar="N", help="CPU threads of a training; 0: one a core.", rich_help_panel=PROCESS)
    ] = 1,
    nice: Annotated[int, option(metavar="N", help="Of a training: 19 gives way most.", rich_help_panel=PROCESS)] = 10,
    broker_session_timeout_s: Annotated[
        float, option(metavar="N", help="Silence after which another trainer leads.", rich_help_panel=PROCESS)
    ] = 10.0,
    process: Process = Process(),
    mlflow: Mlflow = None,
    json: Json = False,
) -> None:
    """Read clicks, train, judge, publish and promote, again and again; SIGUSR1: now. A second trainer stands by."""
    from export.registry.registry import Registry
    from model.cycle.config import GateConfig, RefitConfig
    from model.preset_files import base_and_settings, merged
    from model.presets import preset as named
    from model.settings import read_settings, with_settings
    from model.trainer.config import TrainerConfig, read_span
    from model.trainer.health import TrainerHealth
    from model.trainer.metrics import TrainerMetrics
    from model.trainer.outcome import HARMLESS
    from model.trainer.service import Trainer
    from stream.erasure.teller import ErasureTeller
    from stream.feed.announcer import Announcer
    from stream.feed.clicks import ClicksFeed
    from stream.feed.lead import Lead
    from stream.items.figures import ItemsMetrics
    from stream.items.follower import ItemsFollower
    from stream.kafka.clients import wait_for_broker
    from stream.messages.contract import Source
    from stream.ops.problems import Problems
    from stream.ops.signals import StopSignal
    from stream.ops.web import WebServer

    preset, filed = base_and_settings(preset)
    given = [*(settings or ()), *([] if counts is None else [f"counts={counts}"])]
    fields = tuple(merged(filed, given))
    replace(
        with_settings(named(preset), read_settings(fields)), codes=item_table.config()
    )  # refused before anything is waited for
    local = "://" not in registry
    if not local and (store is None or work is None):
        raise ConfigError(
            "the registry is no local folder: say where clicks (--store) and checkpoints (--work) are kept"
        )
    config = TrainerConfig(
        registry=registry,
        store=store or str(Path(registry) / ".clicks"),
        work=str(work or Path(registry) / ".trainer"),
        variant=variant,
        preset=preset,
        settings=fields,
        codes=item_table.config(),
        seed=seed,
        max_seconds=max_seconds,
        warm=warm,
        window_s=read_span(window),
        window_mb=window_mb,
        gap_minutes=session_timeout_minutes,
        min_support=min_support,
        min_sessions=min_sessions,
        every_s=read_span(every),
        after_clicks=after_clicks,
        fresh_every_s=None if fresh_every is None else read_span(fresh_every),
        flush_s=flush_s,
        gate=GateConfig(
            tolerance=tolerance,
            slack=slack,
            baselines=tuple(name.strip() for name in baselines.split(",") if name.strip()),
            min_coverage=min_coverage,
            max_fallback=max_fallback,
            min_sessions=gate_sessions,
        ),
        refit=RefitConfig() if refit else None,
        keep_versions=keep_versions,
        threads=threads,
        nice=nice,
        exact=exact,
        mlflow=tracking_uri(mlflow),
    )
    process.log_as_told()
    stop = StopSignal()
    topics, client = kafka.topic_names(), kafka.client()
    wait_for_broker(kafka.bootstrap_servers, client, stopped=stop.event)
    metrics = TrainerMetrics()
    problems = Problems(metrics.problem)
    lead = Lead(
        kafka.bootstrap_servers,
        topics.models,
        topics.prefix + GROUP + ("" if variant == "default" else f"-{variant}"),
        client,
        session_timeout_s=broker_session_timeout_s,
    )
    items = ItemsFollower(
        kafka.bootstrap_servers,
        topics.items,
        client,
        max_items=max_items,
        options=topics.as_options(),
        problems=problems,
        metrics=ItemsMetrics(metrics.registry),
    )
    teller = ErasureTeller("trainer", kafka.bootstrap_servers, topics.erasures, client)
    feed = ClicksFeed(kafka.bootstrap_servers, topics.clicks, client, problems)
    service = Trainer(
        config,
        feed=feed,
        leading=lead,
        items=items,
        announcing=Announcer(kafka.bootstrap_servers, Registry(registry), topics, client),
        problem=problems.raise_,
        solved=problems.clear,
        metrics=metrics,
        data=None if data is None else (data, read.options()),
        reset_offsets=reset_offsets,
        on_erased=lambda one, clicks: teller.tell(
            one.session_id, Source(topics.clicks, one.partition, one.offset), {"clicks": clicks}
        ),
    )
    signal.signal(signal.SIGUSR1, lambda _number, _frame: service.ask())
    lead.start()
    items.start()
    try:
        if once:
            ended = service.once(stop.event)
            clicks = service.health([]).clicks
            return report(
                {"version": ended.version, "gate": ended.gate, "clicks": clicks, "seconds": ended.seconds}, json
            )

        def health() -> TrainerHealth:
            lasting = problems.lasting()
            hindered = any(one.key not in HARMLESS for one in lasting)
            return service.health([str(one) for one in lasting], hindered=hindered)

        with process.answering(WebServer(process.web_host, process.web_port, health, metrics)):
            service.run(stop.event)
    finally:
        teller.close()
        items.stop()
        lead.stop()
        feed.close()
