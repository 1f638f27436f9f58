"""`auto` in a trainer's cycle: the rules that follow from what its window holds, and from its limit of time."""

from __future__ import annotations

from typing import Any

from model.auto.newest import of_the_newest
from model.auto.rules import choose
from model.auto.settle import AUTO
from model.auto.traits import traits_of
from model.config import Preset
from model.data.log import SessionLog
from model.presets import preset as named
from model.reports.outlook import outlook
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["by_hand", "for_window"]

_PARTS = ("encoder", "negatives", "loss", "train", "after")


def for_window(
    preset: Preset, log: SessionLog, valid: SessionLog, on_progress: OnProgress = ignore, *, whole: bool = True
) -> Preset:
    """Return the preset that is trained on a window: `auto` by its rules, which are told, another as it is.

    The same for the same window, so that a cycle that was killed goes on; but for a limit in seconds, which is told in
    steps by some that are timed. whole: all sessions of the window are drawn from, if the limit lets it.
    """
    if preset.name != AUTO:
        return preset
    given = by_hand(preset)
    choice = choose(preset, traits_of(log), seconds=None, given=given)
    for why in choice.because:
        on_progress(Progress(stage=AUTO, message=why))
    if not whole:
        return choice.preset
    plan = None if choice.preset.train.max_seconds is None else outlook(log, valid, choice.preset)
    return of_the_newest(choice.preset, log, plan, given, on_progress)


def by_hand(preset: Preset) -> frozenset[str]:
    """Return the fields in which it is not as `auto` is by itself: those that an option has set."""
    usual, found = named(AUTO).to_dict(), preset.to_dict()
    every: list[tuple[str, Any, Any]] = [
        (name, value, found[part][name]) for part in _PARTS for name, value in usual[part].items()
    ]
    return frozenset(name for name, before, now in every if before != now)
