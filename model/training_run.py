"""From a click log to a published bundle: what `nextclick train` does."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import torch

from export.bundle.manifest import Lineage
from export.errors import ConfigError, ProviderUnavailable
from export.events import is_wanted
from export.graph.choice import Scoring
from export.providers import Provider
from export.registry.registry import Registry
from model.auto.budget import Budget, Spending
from model.auto.newest import of_the_newest
from model.auto.settle import bounded, limited, settled, untrained
from model.beginning import foresee, ready_to_rank, told_of
from model.bundling import COMPARED, export_bundle, with_figures, with_manifest
from model.cards.card import curves_of, described, model_card
from model.cards.write import write_card
from model.config import Preset
from model.cycle.config import RefitConfig
from model.cycle.lineage import code_version, commit
from model.data.known_items import KnownItems, features_of, read_known_items
from model.data.log import SessionLog
from model.data.overlap import overlap
from model.data.readers import KINDS, RawLog, ReadOptions, build_log, read_log
from model.data.readers.aside import LaidAside
from model.data.split import Parts, part
from model.errors import Interrupted
from model.evaluate.shown import Shown
from model.learn import checkpoint
from model.learn.committee import checkpoints, train_preset
from model.learn.distributed import join_team, leave_team
from model.machine.memory import peak_memory_mb, release_memory
from model.machine.threads import use_threads
from model.nets.config import TowerConfig
from model.reports.beside import Beside, verdict
from model.reports.curves import Curves, read_entries
from model.reports.progress import OnProgress, Progress, ignore
from model.reports.remaining import Remaining
from model.reports.summary import TrainSummary
from model.training_refit import Everything, refitted

__all__ = [
    "TrainRequest",
    "check_device",
    "default_checkpoint_dir",
    "read_and_split",
    "run_digest",
    "train_to_registry",
]

CHECKPOINTS = ".checkpoints"  # folder of a local registry
QUICK_COMPARED = 1_500  # lists of both ways to score, in a short budget
KEPT_CHECKPOINTS = 12  # of the trainings into one registry, each encoder's its own; and those of the last IDLE_S
IDLE_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """One training: from which clicks, of what, to where."""

    data: Path  # click log, a file or a folder
    registry: str | Path  # directory or fsspec URL; made if there is none
    preset: Preset  # what to train, options already put in
    items: Path | None = None  # what the shop says about its items, a file: their attributes are learned as well
    valid: Path | None = None  # held-out click log; None: the newest day, or tenth, of `data`
    min_support: int = 1  # clicks an item needs to enter the catalogue; 5 in TRON's paper
    checkpoint_dir: Path | None = None  # None: a folder named after data, options and seed, in a local registry
    resume: bool = True  # continue from the checkpoint of the same training
    init_from: Path | None = None  # checkpoint directory of an earlier training to start from
    plots: tuple[str, ...] = ("svg",)  # formats that the learning curves are drawn in: svg, png
    scoring: Scoring = "auto"  # how the graph scores the catalogue; "exact": never in int8
    refit: RefitConfig | None = None  # learn what is held out too, once it has measured; None: it stays unlearned
    budget: Budget | None = None  # of the whole command, in seconds or steps; None: as long as it takes
    over_s: float = 0.0  # of the budget: what the command took to begin
    given: frozenset[str] = frozenset()  # fields of the preset that were given by hand: `auto` leaves them alone
    read: ReadOptions = field(default_factory=ReadOptions)  # format and column names


def train_to_registry(request: TrainRequest, on_progress: OnProgress = ignore) -> TrainSummary | None:
    """Train, export, check and publish; None where another process of the same training does the publishing.

    Steps: 1 read and split, 2 estimate and baselines, 3 train, 4 export, 5 parity, 6 bundle, 7 evaluate the graph, 8
    refit, where it is asked for, 9 publish.
    Nothing is published unless all before it went well. Raises DataError, ConfigError, TrainingError, CheckpointError,
    ParityError, ProviderUnavailable and RegistryError; Interrupted, after a signal, with what to do to go on.
    """
    if request.init_from is not None and not all(map(checkpoint.exists, checkpoints(request.init_from))):
        raise ConfigError(f"--init-from: there is no checkpoint in {request.init_from}")
    check_device(request.preset.train.device)
    if request.checkpoint_dir is not None:
        checkpoint.make_folder(request.checkpoint_dir)
    spending = Spending(request.budget, over_s=request.over_s)
    registry = Registry(str(request.registry))
    registry.create()
    aside = request.checkpoint_dir or default_checkpoint_dir(request.registry, "")
    checkpoint.make_folder(aside)
    use_threads(request.preset.train.threads)
    team = join_team(request.preset.train.device)
    if request.refit is not None and (request.valid is not None or team.size > 1):
        what = "--valid" if request.valid is not None else "torchrun"
        raise ConfigError(f"--refit learns what is held out of --data, in one process: leave out {what}")
    log, valid, newest, raw = _read_parts(request, on_progress, aside)  # 1
    unknown = newest.clicks - valid.clicks
    items = _read_items(request, on_progress)
    catalogue = len(log.vocabulary) + (0 if items is None else len(items.newcomer_ids(log.vocabulary)))
    spending.expect(catalogue)
    request = replace(request, refit=bounded(request.refit, request.preset))
    request = replace(request, preset=settled(request, log, valid, spending, on_progress))
    valid = valid.thinned(request.preset.train.valid_sessions)
    features = features_of(items, log.vocabulary, on_progress)
    run = run_digest(request, log, valid, items)
    directory = request.checkpoint_dir or default_checkpoint_dir(request.registry, run)
    plan, shown = None, Shown(figures={}, left_out={})
    if team.leads:
        ready_to_rank(request.preset, catalogue, on_progress)
        plan, shown = foresee(
            log,
            valid,
            limited(request.preset, spending, request.refit),
            directory,
            on_progress,
            processes=team.size,
            items=features,
            budget_s=spending.seconds,
        )
        learned = limited(request.preset, spending, request.refit, on_progress)
        request = replace(request, preset=of_the_newest(learned, log, plan, request.given, on_progress))
    release_memory()
    baselines, watched = shown.figures, Remaining(on_progress, plan)  # 2
    curves = Curves(directory, watched, baselines=baselines, resume=request.resume, formats=request.plots)
    with _saying_how_to_go_on(directory, request.resume):
        trained = train_preset(  # 3
            log,
            valid,
            request.preset,
            run=run,
            directory=directory,
            resume=request.resume,
            init_from=request.init_from,
            on_progress=Beside(curves, baselines) if team.leads else ignore,
            team=team,
            items=features,
        )
        leave_team()
        if not team.leads:
            return None
        curves.finish()
        if not trained.seconds:
            told = untrained(spending, plan, request.preset, request.refit, log.sessions)
            on_progress(Progress(stage="budget", message=told))
        release_memory()
        with tempfile.TemporaryDirectory(prefix="nextclick-") as staging:
            before = spending.spent()
            bundle = export_bundle(  # 4, 5, 6
                trained,
                log,
                valid,
                request.preset,
                baselines,
                Path(staging),
                on_progress,
                scoring=request.scoring,
                items=items,
                compared=QUICK_COMPARED if spending.quick else COMPARED,
                goes_on=request.refit is not None and request.budget is not None and trained.limited,
            )
            bundle, found = with_figures(bundle, valid, request.preset, on_progress, left_out=shown.left_out)  # 7
            spending.exported(spending.spent() - before)
            lineage = Lineage(code=code_version(), commit=commit())
            facts = described(log)
            del log  # a refit has a log of its own
            if raw is not None:
                bundle, lineage = refitted(
                    request,
                    spending,
                    trained,
                    bundle,
                    facts["sessions"],
                    Everything(raw, newest),
                    valid,
                    directory,
                    run,
                    lineage,
                    on_progress,
                    items,
                )
            manifest = msgspec.structs.replace(bundle.manifest, lineage=lineage)
            card = model_card(
                manifest,
                learned=facts,
                held_out=described(valid),
                measured=found,
                curves=curves_of(read_entries(curves.metrics_file) or trained.history),
                left_out=shown.left_out,
                unknown_clicks=unknown,
                training=told_of(trained, plan),
                min_support=request.min_support,
            )
            bundle = with_manifest(bundle, manifest, cards_in=write_card(card, bundle.path))
            number = registry.publish(bundle.path)  # 9
    on_progress(Progress(stage="publish", message=f"version {number} in {request.registry}"))
    if late := spending.overdrawn():
        on_progress(Progress(stage="budget", message=late))
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
        left_out=shown.left_out,
        afterwards=bundle.manifest.afterwards,
        verdict=verdict(bundle.manifest.valid, baselines, shown.left_out),
        estimated_s=None if plan is None else round(plan.seconds, 1),
        checkpoint_dir=directory,
        metrics_file=curves.metrics_file,
        plot=curves.plot,
        refitted=lineage.refit is not None and lineage.refit.refitted,
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
    return _read_parts(request, on_progress, None)[:2]


def _read_parts(
    request: TrainRequest, on_progress: OnProgress, aside: Path | None
) -> tuple[SessionLog, SessionLog, RawLog, LaidAside | None]:
    """The same, the held-out clicks with those on unknown items, and all that was read, in files of `aside`, where it
    is wanted again."""
    read = request.read
    if request.preset.feedback:
        read = replace(read, kinds=frozenset(KINDS))
    raw = _read(request.data, read, on_progress)
    release_memory()  # of the file's columns
    if request.preset.feedback and bool(is_wanted(raw.kinds + 1).all()):
        message = "the log holds no skip and no dislike: nothing is learned from what nobody wanted"
        on_progress(Progress(stage="read", message=message))
    if request.valid is None:
        parts: Parts = part(raw, min_support=request.min_support)
        log, valid, held_out = parts.log, parts.valid, parts.newest
    else:
        log = build_log(raw, min_support=request.min_support)
        held_out = _read(request.valid, read, on_progress)
        if warning := overlap(raw, held_out).warning("the held-out log"):
            on_progress(Progress(stage="read", message=f"warning: {warning}"))
        valid = build_log(held_out, log.vocabulary)
    counts = f"{log.sessions:,} sessions, {log.clicks:,} clicks, {len(log.vocabulary):,} items to learn from"
    on_progress(Progress(stage="read", message=f"{counts}; {valid.sessions:,} sessions held out"))
    again = None if request.refit is None or aside is None else LaidAside(raw, aside)
    del raw
    release_memory()
    return log, valid, held_out, again


def _read_items(request: TrainRequest, on_progress: OnProgress) -> KnownItems | None:
    """Return what `request.items` holds; None where it is not given, or the preset has neither tower nor codes."""
    tower = request.preset.tower or (None if request.preset.codes is None else TowerConfig())
    return None if request.items is None or tower is None else read_known_items(request.items, tower, on_progress)


def _read(path: Path, read: ReadOptions, on_progress: OnProgress) -> RawLog:
    raw = read_log(path, read)
    for message in (raw.report.summary(), *raw.report.shown()):
        on_progress(Progress(stage="read", message=message))
    return raw


def run_digest(request: TrainRequest, log: SessionLog, valid: SessionLog, items: KnownItems | None = None) -> str:
    """Return the name of a training: what its result depends on, and nothing else.

    That is without threads and a time limit, after which a longer one goes on; but with those after which nothing does:
    a budget's, and that of a rate which is brought down where the time is up.
    """
    options = request.preset.to_dict()
    for name in ("threads", "checkpoint_every"):
        del options["train"][name]
    if request.preset.train.schedule != "stable":
        del options["train"]["max_seconds"]
    if request.budget is not None:
        options["budget"] = str(request.budget)
    started = checkpoints(request.init_from) if request.init_from is not None else ()
    if items is None:
        del options["tower"]
    if request.preset.codes is None:
        del options["codes"]
    del options["after"]  # comes after the training
    start = [checkpoint.digest(folder) for folder in started]
    known = [] if items is None else [items.digest()]
    parts = [log.digest(), valid.digest(), json.dumps(options, sort_keys=True), *start, *known]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def default_checkpoint_dir(registry: str | Path, run: str) -> Path:
    """Return where the checkpoints of a training lie: in a local registry, else in the user's cache."""
    local = "://" not in str(registry)
    root = Path(registry) / CHECKPOINTS if local else Path.home() / ".cache" / "nextclick" / "checkpoints"
    return root / run[:16]
