"""The refit at the end of a training: what was held out is learned too, in the time that is left, and guarded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from export.bundle.bundle import Bundle
from export.bundle.manifest import Lineage, Refit
from export.errors import NextclickError, ParityError
from export.graph.choice import Scoring
from export.ranking.ranker import Ranker, RankerConfig
from model.auto import settle
from model.auto.budget import Spending
from model.bundling import export_bundle, with_manifest
from model.cycle.refit import as_begun, guarded, refit
from model.data.known_items import KnownItems, features_of
from model.data.log import SessionLog
from model.data.readers import RawLog, build_log
from model.data.readers.aside import LaidAside
from model.errors import TrainingError
from model.evaluate.judge import judge, of_ranker
from model.evaluate.metrics import MAIN
from model.learn.trained import Trained
from model.machine.memory import release_memory, trim_heap
from model.reports.progress import OnProgress, Progress

__all__ = ["Everything", "Request", "refitted"]

QUICK_GUARDS = 400  # sessions whose lists are compared in a short budget: the guard looks for what went astray


class Request(settle.Request, Protocol):
    """What a refit needs of a training's request."""

    @property
    def min_support(self) -> int: ...
    @property
    def scoring(self) -> Scoring: ...
    @property
    def init_from(self) -> Path | None: ...
    @property
    def resume(self) -> bool: ...


class Everything(NamedTuple):
    """What was read, before anything of it was left out."""

    raw: LaidAside
    newest: RawLog  # the part of it that was held out


def refitted(
    request: Request,
    spending: Spending,
    trained: Trained,
    judged: Bundle,
    learned: int,
    read: Everything,
    valid: SessionLog,
    directory: Path,
    run: str,
    lineage: Lineage,
    on_progress: OnProgress,
    items: KnownItems | None,
) -> tuple[Bundle, Lineage]:
    """Return the bundle to be published, and its lineage. The figures stay those of the weights that were judged.

    learned: sessions of what was learned so far. Errors of the training, but those that the guard notes.
    """
    assert request.refit is not None, "all that was read is kept for a refit only"
    trim_heap()  # of the judged bundle's evaluation
    # nothing learns from the times
    whole = build_log(read.raw.back(), min_support=request.min_support, times_in=directory)
    trim_heap()
    more = whole.sessions / learned
    again, why = settle.timed(request.refit, request.preset, trained, spending, more=more, given=request.given)
    if again is None:
        on_progress(Progress(stage="refit", message=f"warning: not refitted: {why}"))
        found = Refit(refitted=False, how=request.refit.how, why=why)
        return judged, msgspec.structs.replace(lineage, refit=found)
    config, longer = as_begun(again, directory / "refit", resume=request.resume), None
    folder = judged.path / "refit"
    folder.mkdir()
    on_progress(Progress(stage="refit", message=f"{whole.sessions:,} sessions, those held out among them; {why}"))
    try:
        held_out = build_log(read.newest, whole.vocabulary).thinned(request.preset.train.valid_sessions)
        encoders = refit(
            request.preset,
            trained,
            whole,
            held_out,
            config,
            run=run,
            directory=directory / "refit",
            judged=directory,
            init_from=request.init_from,
            on_progress=on_progress,
            items=features_of(items, whole.vocabulary),
        )
        longer = round(encoders.learned / trained.learned, 2) if trained.learned else None
        bundle = export_bundle(
            encoders,
            whole,
            held_out,
            request.preset,
            judged.manifest.baselines,
            folder,
            on_progress,
            scoring=request.scoring,
            items=items,
            afterwards=judged.manifest.afterwards,
            like=judged.manifest.parity,
        )
        del whole, encoders
        release_memory()  # two models are in memory from here
        after: Ranker | NextclickError = Ranker(bundle, RankerConfig(threads=request.preset.train.threads))
    except (TrainingError, ParityError) as error:
        bundle, after = judged, error
    ranker = Ranker(judged, RankerConfig(threads=request.preset.train.threads))  # not before: it takes memory
    guards = valid.thinned(QUICK_GUARDS) if spending.quick else valid
    recall = judge(of_ranker(ranker), guards).metrics[MAIN]
    found = guarded(ranker, after, guards, recall, config)
    found = msgspec.structs.replace(found, longer=longer)
    lineage = msgspec.structs.replace(lineage, refit=found)
    if not found.refitted:
        on_progress(Progress(stage="refit", message=f"warning: it is not published: {found.why}"))
        return judged, lineage
    return with_manifest(bundle, msgspec.structs.replace(bundle.manifest, valid=judged.manifest.valid)), lineage
