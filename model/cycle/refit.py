"""Refit: what was chosen on held-out clicks learns these too, before it is published; and the guard of that.

The newest clicks are worth most, and the published weights are not the ones that were judged. So they are compared: a
refit whose loss or lists go astray is not published, the judged weights are.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from export.bundle.manifest import Refit
from export.errors import NextclickError
from export.ranking.ranker import Ranker
from model.config import Preset
from model.cycle.config import RefitConfig
from model.data.known_items import ItemFeatures
from model.data.log import SessionLog
from model.evaluate.judge import judge, of_ranker, overlap_of_lists
from model.evaluate.metrics import MAIN
from model.learn import checkpoint
from model.learn.committee import checkpoints, train_preset
from model.learn.trained import Trained
from model.reports.progress import OnProgress, ignore

__all__ = ["as_begun", "best_epoch", "guarded", "recipe", "refit"]

BEGUN = "refit.json"  # beside its checkpoint: how it began


def refit(
    preset: Preset,
    trained: Trained,
    log: SessionLog,
    newest: SessionLog,
    config: RefitConfig,
    *,
    run: str,
    directory: Path,
    judged: Path | None,
    init_from: Path | None = None,
    on_progress: OnProgress = ignore,
    items: ItemFeatures | None = None,
) -> Trained:
    """Train on all of `log`, the newest sessions among them; those only measure what was learned, and choose nothing.

    trained: the judged training, of which `recipe` makes the length. judged: its checkpoints, to continue from;
    init_from: what it began with. Raises TrainingError, CheckpointError and Interrupted; resumes like any training.
    """
    return train_preset(
        log,
        newest,
        recipe(preset, trained, config),
        run=f"{run}/refit-{config.how}",
        directory=directory,
        init_from=init_from if config.how == "scratch" else judged,
        on_progress=on_progress,
        items=items,
    )


def as_begun(config: RefitConfig, directory: Path, *, resume: bool) -> RefitConfig:
    """Return how the refit began whose checkpoint is in `directory`, if there is one to resume; else `config`, kept.

    Its limits are of the time that was left when it began. By those of a command that resumes it, it would go on with
    other sessions and another length, or end before its rate has come down.
    """
    kept = directory / BEGUN
    if resume and kept.is_file() and any(map(checkpoint.exists, checkpoints(directory))):
        with suppress(msgspec.MsgspecError):  # torn: it was killed before its first step
            return msgspec.json.decode(kept.read_bytes(), type=RefitConfig)
    directory.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(config))
    return config


def recipe(preset: Preset, trained: Trained, config: RefitConfig) -> Preset:
    """The preset of a refit: as many passes as the best epoch of the judged training has, or a share of them. Where no
    epoch was chosen, or a limit ended what held-out sessions would have let go on, it is the same again, within its own
    limits, or those of the judged one, which may have had a few of its passes."""
    train, stable = preset.train, preset.train.schedule == "stable"
    looks: dict[str, Any] = {"patience": 0} if stable else {}  # what would be looked at is learned now
    if config.how == "scratch" and not train.validate_epochs and (trained.limited or not stable):
        newest = config.newest_sessions or train.newest_sessions
        limits: dict[str, Any] = {"max_steps": config.max_steps or train.max_steps, "newest_sessions": newest}
        limits["max_seconds"] = train.max_seconds if config.max_seconds is None else config.max_seconds
        return replace(preset, train=replace(train, **limits, **looks))
    epochs = best_epoch(trained) * (config.share if config.how == "continue" else 1.0)
    exact: dict[str, Any] = {"reference": 0, "min_epochs": 0.0, "min_steps": 0, "max_steps": None}
    exact |= {"epochs": max(epochs, 1e-3), "max_seconds": config.max_seconds, "validate_epochs": False}
    return replace(preset, train=replace(train, **exact, **(looks if config.how == "scratch" else {})))


def best_epoch(trained: Trained) -> float:
    """The epoch whose weights were kept."""
    best = max(trained.history, key=lambda entry: entry[MAIN]) if trained.history else {"epoch": trained.epochs}
    return float(best["epoch"])


def guarded(
    judged: Ranker, refitted: Ranker | NextclickError, newest: SessionLog, recall: float, config: RefitConfig
) -> Refit:
    """Whether the refitted weights may be published. newest: the log that was judged on; recall: Recall@20 there."""
    if isinstance(refitted, NextclickError):
        return Refit(refitted=False, how=config.how, why=f"the refit failed: {refitted}")
    overlap = overlap_of_lists(judged, refitted, newest)
    found = judge(of_ranker(refitted), newest).metrics[MAIN]
    why = ""
    if overlap < config.min_overlap:
        why = f"its lists have {overlap:.0%} of the judged ones' items; at least {config.min_overlap:.0%} is asked"
    elif found < recall - config.tolerance:
        why = f"Recall@20 on the clicks it has learned is {found:.4f}, and {recall:.4f} before it had learned them"
    return Refit(refitted=not why, how=config.how, why=why, overlap=round(overlap, 4), recall=round(found, 4))
