"""`train`: from a click log to a version in the registry."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options.common import Json, RegistryUrl, Threads
from cli.options.group import command, option
from cli.options.item_table import ItemTable
from cli.options.mlflow import Mlflow, tracking_uri
from cli.options.reading import Data, Reading
from cli.options.settings import Settings
from cli.output import report, stderr
from export.errors import ConfigError
from export.garbage import uncollected
from export.providers import Provider

if TYPE_CHECKING:
    from model.config import Preset
    from model.reports.progress import OnProgress

__all__ = ["app"]

app = typer.Typer()
MODEL = "The model"
RUN = "The run"
PRESETS = (  # importing them is slow
    "auto, tron, tron+, tron-fast, sasrec, sasrec-ssm, gru4rec+, gru4rec+bpr-max, bert4rec, mtmi, mtmi-anchored, "
    "comirec-sa, remi, tron-feedback, tron-feedback-inputs, tron-feedback-targets, sasrec-feedback, "
    "sasrec-feedback-inputs, sasrec-feedback-targets"
)


@command(app, rich_help_panel="Train and measure")
def train(
    data: Data,
    registry: RegistryUrl,
    read: Reading,
    item_table: ItemTable,
    items: Annotated[
        Path | None,
        option(metavar="PATH", help="Attributes and prices of the items; new ones are listed from their first day."),
    ] = None,
    valid: Annotated[
        Path | None, option(metavar="PATH", help="Held-out log [the newest day or tenth of --data].")
    ] = None,
    preset: Annotated[
        str, option(metavar="NAME", help=f"Named model, or a preset file: {PRESETS}.", rich_help_panel=MODEL)
    ] = "auto",
    budget: Annotated[
        str | None,
        option(
            metavar="TIME",
            help="60s, 10m, 2h of the whole command, or 5000steps [until held-out sessions gain no more].",
            rich_help_panel=MODEL,
        ),
    ] = None,
    epochs: Annotated[float | None, option(help="Passes over the log [the preset's].", rich_help_panel=MODEL)] = None,
    seed: Annotated[
        int, option(metavar="N", help="The same seed gives the same model.", min=0, rich_help_panel=MODEL)
    ] = 0,
    negatives: Annotated[
        int | None,
        option(help="Negatives a batch; sasrec: a position [the preset's].", rich_help_panel=MODEL),
    ] = None,
    lr: Annotated[float | None, option(help="Learning rate [the preset's].", rich_help_panel=MODEL)] = None,
    batch: Annotated[int | None, option(help="Sessions a step [the preset's].", rich_help_panel=MODEL)] = None,
    positions: Annotated[
        str | None,
        option(metavar="KIND", help="start, end, rotary or none: how positions are told.", rich_help_panel=MODEL),
    ] = None,
    settings: Settings = None,
    counts: Annotated[
        str | None,
        option(
            metavar="KIND",
            help="auto, on or off: counts of what follows what behind the network [the preset's].",
            rich_help_panel=MODEL,
        ),
    ] = None,
    tower: Annotated[bool, option(help="Learn what --items says of the items.", rich_help_panel=MODEL)] = True,
    target_weights: Annotated[
        str | None,
        option(
            metavar="PAIRS",
            help="What finding each kind of event counts: click=1,order=5.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    preference: Annotated[
        bool,
        option(
            "--preference",
            help="Learn every trade-off of clicks and orders; the worker's --preference chooses.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    typed: Annotated[
        bool,
        option("--typed", help="Let the model read what each event is (click, order, skip …).", rich_help_panel=MODEL),
    ] = False,
    min_support: Annotated[
        int, option(metavar="N", help="Leave out items with fewer clicks.", min=1, rich_help_panel=MODEL)
    ] = 1,
    refit: Annotated[
        bool | None,
        option(
            help="Then learn what is held out, too: what is published has seen the newest clicks [auto: yes].",
            rich_help_panel=MODEL,
        ),
    ] = None,
    exact: Annotated[
        bool,
        option("--exact", help="Never score in int8, even where that gives the same lists.", rich_help_panel=MODEL),
    ] = False,
    device: Annotated[Provider, option(help="Where to train.", rich_help_panel=RUN)] = "cpu",
    precision: Annotated[
        str,
        option(
            metavar="NAME",
            help="auto, float32 or bfloat16: of products with the catalogue.",
            rich_help_panel=RUN,
        ),
    ] = "auto",
    threads: Threads = 0,
    max_seconds: Annotated[
        float | None,
        option(help="Stop training after so long and export the best so far.", rich_help_panel=RUN),
    ] = None,
    checkpoint_dir: Annotated[
        Path | None, option(metavar="DIR", help="Where to resume from [under the registry].", rich_help_panel=RUN)
    ] = None,
    resume: Annotated[bool, option(help="Go on from the checkpoint of the same run.", rich_help_panel=RUN)] = True,
    init_from: Annotated[
        Path | None,
        option(metavar="DIR", help="Checkpoint folder of an earlier run to start from.", rich_help_panel=RUN),
    ] = None,
    mlflow: Mlflow = None,
    json: Json = False,
) -> None:
    """Train on a click log, export, check, and publish a bundle into the registry.

    Several processes train one model under torchrun: torchrun --nproc-per-node 2 -m nextclick train …
    """
    began = time.monotonic()
    uri = tracking_uri(mlflow)  # before anything takes its time
    from model.machine.openmp import spin_briefly

    spin_briefly()
    with uncollected(stays=True):
        from model.auto.budget import Budget
        from model.auto.settle import AUTO
        from model.cycle.config import RefitConfig
        from model.tracked_training import tracked_training
        from model.training_run import TrainRequest, train_to_registry

    limit = None if budget is None else Budget.parse(budget)
    chosen, given = _preset(
        preset,
        negatives,
        settings or (),
        epochs=epochs,
        seed=seed,
        batch=batch,
        lr=lr,
        threads=threads,
        device=device,
        precision=precision,
        max_seconds=max_seconds,
        positions=positions,
        target_weights=_weights(target_weights),
        preference=preference or None,
        typed=typed or None,
        counts=counts,
    )
    codes = item_table.config()
    request = TrainRequest(
        data=data,
        items=items if tower or codes is None else None,
        valid=valid,
        registry=registry,
        preset=chosen if tower and codes is None else replace(chosen, tower=None, codes=codes),
        min_support=min_support,
        resume=resume,
        checkpoint_dir=checkpoint_dir,
        init_from=init_from,
        scoring="exact" if exact else "auto",
        refit=RefitConfig() if _refits(refit, auto=chosen.name == AUTO, valid=valid) else None,
        budget=limit,
        over_s=time.monotonic() - began,
        given=given,
        read=read.options(),
    )
    with _progress() as on_progress, tracked_training(uri, request, on_progress) as run:
        summary = train_to_registry(request, run.on_progress)
        run.ended(summary)
    if summary is not None:  # else another process of this training publishes
        report(summary.to_dict(), json)


def _preset(
    name: str,
    negatives: int | None,
    settings: Sequence[str],
    *,
    epochs: float | None,
    positions: str | None,
    **chosen: object,
) -> tuple["Preset", frozenset[str]]:
    """The named preset with the options that were given put in, and their names."""
    from model.preset_files import base_and_settings
    from model.presets import preset as named
    from model.settings import read_settings, with_settings

    name, filed = base_and_settings(name)
    published = named(name)
    sampling = {} if negatives is None else published.count_of_negatives(negatives)
    if positions is not None and all(one.encoder.kind == "gru" for one in published.members()):
        raise ConfigError(f"{name} reads clicks one after the other and has no positions: leave out --positions")
    fields = read_settings(settings)
    given = {"epochs": epochs, "positions": positions, **sampling, **chosen}
    if twice := [key for key in fields if given.get(key) is not None]:
        raise ConfigError(f"--set {twice[0]}: it is given by an option, too: leave one of them out")
    exactly = 0 if epochs is not None else None  # as many epochs as asked for
    whole = with_settings(published, read_settings(filed)).override(
        epochs=epochs,
        reference=exactly,
        min_epochs=exactly,
        min_steps=exactly,
        positions=positions,
        **chosen,
        **sampling,
    )
    by_hand = {name for name, value in given.items() if value is not None} | set(read_settings(filed)) | set(fields)
    return with_settings(whole, fields), frozenset(by_hand)


def _refits(asked: bool | None, *, auto: bool, valid: Path | None) -> bool:
    """Whether a refit follows: as asked, else `auto`'s does, where it may."""
    if asked is not None:
        return asked
    return auto and valid is None and int(os.environ.get("WORLD_SIZE", "1")) == 1


def _weights(text: str | None) -> tuple[tuple[str, float], ...] | None:
    """`click=1,order=5` as pairs; kinds that are no targets are refused where they are used."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        return tuple((kind.strip(), float(weight)) for kind, _, weight in pairs)
    except ValueError as error:
        raise ConfigError(f"--target-weights takes pairs such as click=1,order=5, not {text!r}") from error


@contextmanager
def _progress() -> Iterator["OnProgress"]:
    from model.reports.console import show_progress

    with show_progress(stderr) as on_progress:
        yield on_progress
