"""Commands on click logs: training and evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json, Provider, RegistryUrl, Threads, option, print_json, report, stderr
from cli.reading import Data, reads_logs, say
from export.errors import ConfigError

if TYPE_CHECKING:
    from model.data.readers import ReadOptions
    from model.reports.progress import OnProgress

__all__ = ["app"]

app = typer.Typer()

PRESETS = "tron-fast, tron+, tron, sasrec, sasrec-ssm, gru4rec+, gru4rec+bpr-max, bert4rec"  # importing them is slow

Cutoffs = Annotated[str, option("--cutoffs", help="Cut-offs of the measures, separated by commas.")]


@app.command()
@reads_logs
def train(
    data: Data,
    read: "ReadOptions",
    registry: RegistryUrl,
    valid: Annotated[Path | None, option(help="Held-out log [the newest day or tenth of --data].")] = None,
    preset: Annotated[str, option(help=f"Named model: {PRESETS}.")] = "tron",
    epochs: Annotated[float | None, option(help="Passes over the log [the preset's].")] = None,
    seed: Annotated[int, option(help="The same seed gives the same model.")] = 0,
    negatives: Annotated[int | None, option(help="Negatives a batch; sasrec: a position [the preset's].")] = None,
    lr: Annotated[float | None, option(help="Learning rate [the preset's].")] = None,
    batch: Annotated[int | None, option(help="Sessions a step [the preset's].")] = None,
    positions: Annotated[str | None, option(help="start, end, rotary or none: how positions are told.")] = None,
    device: Annotated[Provider, option(help="Where to train.")] = Provider.cpu,
    precision: Annotated[str, option(help="auto, float32 or bfloat16: of products with the catalogue.")] = "auto",
    threads: Threads = 0,
    max_seconds: Annotated[float | None, option(help="Stop training after so long and export the best so far.")] = None,
    min_support: Annotated[int, option(help="Leave out items with fewer clicks.", min=1)] = 1,
    checkpoint_dir: Annotated[Path | None, option(help="Where to resume from [under the registry].")] = None,
    resume: Annotated[bool, option(help="Go on from the checkpoint of the same run.")] = True,
    init_from: Annotated[Path | None, option(help="Checkpoint folder of an earlier run to start from.")] = None,
    exact: Annotated[bool, option(help="Never score in int8, even where that gives the same lists.")] = False,
    json: Json = False,
) -> None:
    """Train on a click log, export, check, and publish a bundle into the registry.

    Several processes train one model under torchrun: torchrun --nproc-per-node 2 -m nextclick train …
    """
    from model.machine.openmp import spin_briefly

    spin_briefly()
    from model.presets import preset as named
    from model.training_run import TrainRequest, train_to_registry

    published = named(preset)
    sampling = {} if negatives is None else published.count_of_negatives(negatives)
    if positions is not None and all(one.encoder.kind == "gru" for one in published.members()):
        raise ConfigError(f"{preset} reads clicks one after the other and has no positions: leave out --positions")
    chosen = published.override(
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
        read=read,
    )
    with _progress() as on_progress:
        summary = train_to_registry(request, on_progress)
    if summary is not None:  # else another process of this training publishes
        report(summary.to_dict(), json)


@app.command()
@reads_logs
def evaluate(
    data: Data,
    read: "ReadOptions",
    systems: Annotated[
        list[str] | None, typer.Argument(help="With --compare: folders or URLs of bundles, and names of baselines.")
    ] = None,
    compare: Annotated[bool, option("--compare", help="Several systems on the same predictions.")] = False,
    bundle: Annotated[str | None, option(help="Bundle (folder or URL), through the ranker that serves it.")] = None,
    baseline: Annotated[str | None, option(help="popularity, next-item, items-after, co-occurrence, vmis-knn.")] = None,
    train: Annotated[
        Path | None, option(help="Log a baseline counts; with --bundle: what overlaps it is told.")
    ] = None,
    cutoffs: Cutoffs = "20",
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Recall, MRR, NDCG and coverage: full ranking, every position after the first.

    --compare gives intervals too, by bootstrap over sessions, and differences to the system named first.
    """
    from model.evaluate.report import evaluate_baseline, evaluate_bundle

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
        metrics = evaluate_bundle(bundle, data, read, cuts, threads, train=train, say=say)
    elif train is None:
        raise ConfigError("a baseline counts a log: name it with --train PATH")
    else:
        metrics = evaluate_baseline(str(baseline), train, data, read, cuts, say=say)
    if metrics["left_out"]:
        stderr.print(
            f"left out {metrics['left_out']:,.0f} of {metrics['clicks']:,.0f} clicks: on items that are not known, or "
            "in sessions of fewer than two known ones",
            highlight=False,
        )
    return report(metrics, json)


def _compare(
    systems: list[str],
    data: Path,
    read: "ReadOptions",
    train: Path | None,
    cutoffs: tuple[int, ...],
    threads: int,
    json: bool,
) -> None:
    from model.evaluate.compare import compare_systems
    from model.evaluate.compare_table import print_comparison

    found = compare_systems(systems, data, read, train=train, cutoffs=cutoffs, threads=threads, say=say)
    if json:
        return print_json(found.to_json())
    return print_comparison(found)


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"cut-offs are whole numbers separated by commas, not {text!r}") from error


@contextmanager
def _progress() -> Iterator["OnProgress"]:
    from model.reports.console import show_progress

    with show_progress(stderr) as on_progress:
        yield on_progress
