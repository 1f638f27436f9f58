"""Refit: what was chosen on held-out clicks learns these too, before it is published; and the guard of that.

The newest clicks are worth most, and the published weights are not the ones that were judged. So they are compared: a
refit whose loss or lists go astray is not published, the judged weights are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from export.bundle.manifest import Refit
from export.errors import ConfigError, NextclickError
from export.ranking.ranker import Ranker
from model.config import Preset
from model.cycle.config import RefitConfig
from model.data.known_items import ItemFeatures
from model.data.log import SessionLog
from model.evaluate.judge import judge, of_ranker, overlap_of_lists
from model.evaluate.metrics import MAIN
from model.learn.committee import train_preset
from model.learn.train import STABLE
from model.learn.trained import Trained
from model.reports.progress import OnProgress, ignore

__all__ = ["best_epoch", "guarded", "recipe", "refit"]


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

    trained: the judged training, whose best epoch is the length. judged: its checkpoints, to go on from, with `decay`
    from the state before the rate was brought down; init_from: what it began with. Raises TrainingError,
    CheckpointError and Interrupted; resumes like any training.
    """
    return train_preset(
        log,
        newest,
        recipe(preset, trained, config),
        run=f"{run}/refit-{config.how}",
        directory=directory,
        init_from=init_from if config.how == "scratch" else judged,
        init_part=STABLE if config.how == "decay" else "",
        on_progress=on_progress,
        items=items,
    )


def recipe(preset: Preset, trained: Trained, config: RefitConfig) -> Preset:
    """The preset of a refit: as many passes as the best epoch of the judged training has, or a share of them. Where no
    epoch was chosen it is the same again, its limit of time too: the judged one may have had a few of its passes."""
    stable = preset.train.schedule == "stable"
    same = config.how == "scratch" and not preset.train.validate_epochs and not stable
    limit_s = preset.train.max_seconds if same and config.max_seconds is None else config.max_seconds
    train = replace(preset.train, max_seconds=limit_s)
    if same:
        return replace(preset, train=train)
    epochs = best_epoch(trained)
    changed: dict[str, Any] = {}
    if config.how == "continue":
        epochs *= config.share
    elif config.how == "decay":
        if not stable:
            raise ConfigError("refit: decay goes on from a stable rate, which this preset does not have")
        epochs *= config.decay / (1.0 + train.decay)
        changed = {"schedule": "falling", "warmup": 0}
    elif stable:
        changed = {"patience": 0}  # as long as the judged one was
    exact: dict[str, Any] = {"reference": 0, "min_epochs": 0.0, "min_steps": 0, "max_steps": None}
    return replace(preset, train=replace(train, epochs=max(epochs, 1e-3), validate_epochs=False, **exact, **changed))


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
