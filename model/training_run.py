"""From a click log to a published bundle: what `nextclick train` does."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.bundle.bundle import Bundle, write_bundle
from export.bundle.manifest import Manifest, TrainingWindow
from export.errors import ConfigError, ProviderUnavailable
from export.graph.choice import Scoring, describe, export_chosen
from export.graph.topk import DEFAULT_K_MAX
from export.providers import Provider
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from model.config import Preset
from model.data.log import SessionLog
from model.data.overlap import overlap
from model.data.readers import RawLog, ReadOptions, build_log, read_log
from model.data.split import split
from model.errors import Interrupted
from model.evaluate.baselines import make_baseline
from model.evaluate.metrics import MAIN
from model.evaluate.protocol import evaluate, prefixes
from model.learn import checkpoint
from model.learn.committee import checkpoints, train_preset
from model.learn.distributed import join_team, leave_team
from model.learn.train import Trained
from model.machine.memory import peak_memory_mb, release_memory
from model.machine.threads import use_threads
from model.nets.serving import ServingModel
from model.reports.curves import Curves
from model.reports.progress import OnProgress, Progress, ignore
from model.reports.summary import TrainSummary

__all__ = [
    "TrainRequest",
    "check_device",
    "default_checkpoint_dir",
    "evaluate_baselines",
    "export_bundle",
    "library_versions",
    "read_and_split",
    "run_digest",
    "sample",
    "train_to_registry",
    "with_figures",
]

BASELINES = ("popularity", "next-item")  # always shown beside the model
LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy")  # whose versions the manifest records
_COMPARED = 5_000  # lists, at least, of both ways to score; as many again where that does not divide well
CHECKPOINTS = ".checkpoints"  # folder of a local registry
KEPT_CHECKPOINTS = 12  # of the trainings into one registry, each encoder's its own; and those of the last IDLE_S
IDLE_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """One training: from which clicks, of what, to where."""

    data: Path  # click log, a file or a folder
    registry: str | Path  # directory or fsspec URL; made if there is none
    preset: Preset  # what to train, options already put in
    valid: Path | None = None  # held-out click log; None: the newest day, or tenth, of `data`
    min_support: int = 1  # clicks an item needs to enter the catalogue; 5 in TRON's paper
    checkpoint_dir: Path | None = None  # None: a folder named after data, options and seed, in a local registry
    resume: bool = True  # continue from the checkpoint of the same training
    init_from: Path | None = None  # checkpoint directory of an earlier training to start from
    plots: tuple[str, ...] = ("svg",)  # formats that the learning curves are drawn in: svg, png
    scoring: Scoring = "auto"  # how the graph scores the catalogue; "exact": never in int8
    read: ReadOptions = field(default_factory=ReadOptions)  # format and column names


def train_to_registry(request: TrainRequest, on_progress: OnProgress = ignore) -> TrainSummary | None:
    """Train, export, check and publish; None where another process of the same training does the publishing.

    Steps: 1 read and split, 2 baselines, 3 train, 4 export, 5 parity, 6 bundle, 7 evaluate the graph, 8 publish.
    Nothing is published unless all before it went well. Raises DataError, ConfigError, TrainingError, CheckpointError,
    ParityError, ProviderUnavailable and RegistryError; Interrupted, after a signal, with what to do to go on.
    """
    if request.init_from is not None and not all(map(checkpoint.exists, checkpoints(request.init_from))):
        raise ConfigError(f"--init-from: there is no checkpoint in {request.init_from}")
    check_device(request.preset.train.device)
    if request.checkpoint_dir is not None:
        checkpoint.make_folder(request.checkpoint_dir)
    registry = Registry(str(request.registry))
    registry.create()
    if request.checkpoint_dir is None:
        checkpoint.make_folder(default_checkpoint_dir(request.registry, ""))
    use_threads(request.preset.train.threads)
    team = join_team(request.preset.train.device)
    log, valid = read_and_split(request, on_progress)  # 1
    valid = valid.thinned(request.preset.train.valid_sessions)
    window = request.preset.encoder.window
    baselines = evaluate_baselines(log, valid, window, on_progress) if team.leads else {}  # 2
    run = run_digest(request, log, valid)
    directory = request.checkpoint_dir or default_checkpoint_dir(request.registry, run)
    curves = Curves(directory, on_progress, baselines=baselines, resume=request.resume, formats=request.plots)
    with _saying_how_to_go_on(directory, request.resume):
        trained = train_preset(  # 3
            log,
            valid,
            request.preset,
            run=run,
            directory=directory,
            resume=request.resume,
            init_from=request.init_from,
            on_progress=curves if team.leads else ignore,
            team=team,
        )
        leave_team()
        if not team.leads:
            return None
        curves.finish()
        release_memory()
        with tempfile.TemporaryDirectory(prefix="nextclick-") as staging:
            bundle = export_bundle(  # 4, 5, 6
                trained, log, valid, request.preset, baselines, Path(staging), on_progress, scoring=request.scoring
            )
            bundle = with_figures(bundle, valid, request.preset, on_progress)  # 7
            number = registry.publish(bundle.path)  # 8
    on_progress(Progress(stage="publish", message=f"version {number} in {request.registry}"))
    if request.checkpoint_dir is None:
        checkpoint.prune(directory.parent, keep=KEPT_CHECKPOINTS, idle_s=IDLE_S)
    return TrainSummary(
        version=number,
        bundle=registry.uri(number),
        epochs=trained.epochs,
        seconds=round(trained.seconds, 3),
        sessions_per_s=round(trained.sessions_per_s, 1),
        peak_memory_mb=round(peak_memory_mb(), 1),
        valid=bundle.manifest.valid,
        baselines=baselines,
        checkpoint_dir=directory,
        metrics_file=curves.metrics_file,
        plot=curves.plot,
    )


@contextmanager
def _saying_how_to_go_on(directory: Path, resume: bool) -> Iterator[None]:
    """Let an interruption in the block say what is kept."""
    again = "the same command" if resume else "the same command without --no-resume"
    try:
        yield
    except Interrupted as error:
        kept = f"{error}; the checkpoint is in {directory}, {again} goes on from there"
        raise Interrupted(kept, error.exit_code) from None
    except KeyboardInterrupt:
        if not any(map(checkpoint.exists, checkpoints(directory))):
            raise
        kept = f"interrupted, nothing was published; the checkpoint is in {directory}, {again} goes on from there"
        raise Interrupted(kept) from None


def check_device(device: Provider) -> None:
    """Raise ProviderUnavailable where it is a GPU and torch has none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ProviderUnavailable(
            f"--device cuda: torch {torch.__version__} finds no GPU; leave the option out to train on the CPU, or "
            "install a torch built for CUDA and the driver it wants"
        )


def read_and_split(request: TrainRequest, on_progress: OnProgress = ignore) -> tuple[SessionLog, SessionLog]:
    """Return the training and the validation log, both with the vocabulary of the first."""
    raw = _read(request.data, request.read, on_progress)
    if request.valid is None:
        log, valid = split(raw, min_support=request.min_support)
    else:
        log = build_log(raw, min_support=request.min_support)
        held_out = _read(request.valid, request.read, on_progress)
        if warning := overlap(raw, held_out).warning("the held-out log"):
            on_progress(Progress(stage="read", message=f"warning: {warning}"))
        valid = build_log(held_out, log.vocabulary)
    counts = f"{log.sessions:,} sessions, {log.clicks:,} clicks, {len(log.vocabulary):,} items to learn from"
    on_progress(Progress(stage="read", message=f"{counts}; {valid.sessions:,} sessions held out"))
    return log, valid


def _read(path: Path, read: ReadOptions, on_progress: OnProgress) -> RawLog:
    raw = read_log(path, read)
    for message in (raw.report.summary(), *raw.report.shown()):
        on_progress(Progress(stage="read", message=message))
    return raw


def evaluate_baselines(
    log: SessionLog, valid: SessionLog, window: int, on_progress: OnProgress = ignore
) -> dict[str, dict[str, float]]:
    """Return the metrics of popularity and next-item counts, learned from `log`, on `valid`."""
    found: dict[str, dict[str, float]] = {}
    for name in BASELINES:
        found[name] = evaluate(make_baseline(name, log), valid, window=window).to_json()
        on_progress(Progress(stage="baselines", message=name, metrics=found[name]))
    return found


def run_digest(request: TrainRequest, log: SessionLog, valid: SessionLog) -> str:
    """Return the name of a training: what its result depends on, and nothing else (threads and time limits)."""
    options = request.preset.to_dict()
    for name in ("threads", "max_seconds", "checkpoint_every"):
        del options["train"][name]
    started = checkpoints(request.init_from) if request.init_from is not None else ()
    start = [checkpoint.digest(folder) for folder in started]
    parts = [log.digest(), valid.digest(), json.dumps(options, sort_keys=True), *start]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def default_checkpoint_dir(registry: str | Path, run: str) -> Path:
    """Return where the checkpoints of a training lie: in a local registry, else in the user's cache."""
    local = "://" not in str(registry)
    root = Path(registry) / CHECKPOINTS if local else Path.home() / ".cache" / "nextclick" / "checkpoints"
    return root / run[:16]


def export_bundle(
    trained: Trained,
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    baselines: dict[str, dict[str, float]],
    directory: Path,
    on_progress: OnProgress = ignore,
    *,
    scoring: Scoring = "auto",
) -> Bundle:
    """Write the graph of the trained encoders and what belongs to it into `directory`. ParityError if they differ.

    `auto` scores in int8 where that gives the lists of exact scoring on validation sessions (`export.graph.choice`).
    """
    items, window = len(log.vocabulary), preset.encoder.window
    k_max = min(DEFAULT_K_MAX, items)
    onnx_file = directory / "model.onnx"
    parity = export_chosen(
        lambda margin: ServingModel(trained.encoders, margin=margin),
        onnx_file,
        window=window,
        items=items,
        k=k_max,
        sessions=sample(valid, window),
        scoring=scoring,
        seed=preset.train.seed,
    )
    on_progress(Progress(stage="export", message=f"{onnx_file.stat().st_size / 2**20:.1f} MiB"))
    on_progress(Progress(stage="parity", message=f"the graph ranks as PyTorch does, {describe(parity)}"))
    manifest = Manifest(
        created_ts=time.time_ns() // 1_000_000,
        preset=preset.name,
        config=preset.to_dict(),
        items=items,
        window=window,
        k_max=k_max,
        training=TrainingWindow(first_ts=log.first_ts, last_ts=log.last_ts, sessions=log.sessions, clicks=log.clicks),
        valid={},
        baselines=baselines,
        parity=parity,
        libraries=library_versions(),
    )
    return write_bundle(
        directory, onnx_file=onnx_file, vocabulary=log.vocabulary, popularity=log.popularity(), manifest=manifest
    )


def sample(valid: SessionLog, window: int) -> list[NDArray[np.int32]]:
    """Return beginnings of validation sessions, evenly from all there are, the shortest first."""
    starts, targets = prefixes(valid, window)
    every = slice(None, None, max(1, len(targets) // _COMPARED))
    return [valid.items[start:end] for start, end in zip(starts[every], targets[every], strict=True)]


def with_figures(bundle: Bundle, valid: SessionLog, preset: Preset, on_progress: OnProgress = ignore) -> Bundle:
    """Evaluate the exported graph through the Ranker, and return the bundle with the figures in its manifest."""
    ranker = Ranker(bundle, RankerConfig(threads=preset.train.threads))
    figures = evaluate(ranker, valid, window=bundle.manifest.window).to_json()
    on_progress(Progress(stage="evaluate", message="the exported graph", metrics=figures))
    if poorer := [name for name, other in bundle.manifest.baselines.items() if figures[MAIN] < other[MAIN]]:
        message = f"the model's lists are poorer than those of {' and '.join(poorer)}: train longer, or on more clicks"
        on_progress(Progress(stage="evaluate", message=message))
    return write_bundle(
        bundle.path,
        onnx_file=bundle.onnx_path,
        vocabulary=bundle.vocabulary,
        popularity=bundle.popularity,
        manifest=msgspec.structs.replace(bundle.manifest, valid=figures),
    )


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that trained and exported."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # onnxruntime may be there under the name of its GPU build
            continue
    return found
