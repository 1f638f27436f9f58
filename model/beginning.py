"""What is told of a training before it starts: its time, and what it has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.graph.beside import SCANNED_FROM
from export.scan.loading import load_scan
from model.config import Preset
from model.data.known_items import ItemFeatures
from model.data.log import SessionLog
from model.evaluate.shown import Shown, allowance, shown_baselines
from model.learn.needs import require_room
from model.learn.trained import Trained
from model.reports.outlook import Outlook, outlook
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["foresee", "ready_to_rank", "told_of"]


def ready_to_rank(preset: Preset, items: int, on_progress: OnProgress = ignore) -> None:
    """Have what ranks a catalogue of so many items compiled by now, and say so where no earlier process did: it takes
    seconds, which would be taken from a budget after it was shared out."""
    coded = preset.codes is not None
    scanned = coded or (items >= SCANNED_FROM and not preset.encoder.interests)
    if scanned and (told := load_scan(coded=coded)):
        on_progress(Progress(stage="compile", message=told))


def foresee(
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    directory: Path,
    on_progress: OnProgress = ignore,
    *,
    processes: int = 1,
    items: ItemFeatures | None = None,
    budget_s: float | None = None,
) -> tuple[Outlook | None, Shown]:
    """Return how long a training will take (None: a moment), and what the baselines reach that cost little beside it.

    Both are told. budget_s: of the whole command, if it is limited. ConfigError where memory or disk (at `directory`)
    won't do for the training.
    """
    require_room(preset, log, directory)  # before anything is tried
    plan = outlook(log, valid, preset, processes=processes, items=items)
    if plan is not None:
        on_progress(Progress(stage="estimate", message=plan.told()))

    def tell(name: str, figures: dict[str, float], why: str) -> None:
        message = f"{name} is left out: {why}" if why else name
        on_progress(Progress(stage="baselines", message=message, metrics=figures))

    most_s = allowance(None if plan is None else plan.seconds, budget_s)
    window = preset.encoder.window
    return plan, shown_baselines(log, valid, window, most_s=most_s, on_baseline=tell)


def told_of(trained: Trained, plan: Outlook | None) -> dict[str, Any]:
    """Return what a card says of a training: passes, seconds, and what was estimated."""
    found: dict[str, Any] = {"epochs": trained.epochs, "seconds": round(trained.seconds, 1)}
    found["sessions_per_s"] = round(trained.sessions_per_s, 1)
    return found | ({} if plan is None else {"estimated_seconds": round(plan.seconds, 1)})
