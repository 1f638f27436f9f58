"""What is searched: ranges of a preset's fields, around what papers and docs/training.md found to matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from model.config import Preset

__all__ = ["Range", "Suggests", "space_of", "start_of", "suggested"]


class Suggests(Protocol):
    """What Optuna's trials do."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number of a range."""
        ...

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of several values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Of one field: numbers from low to high, or choices."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def holds(self, value: Any) -> bool:
        """Return whether a value is one that can be suggested."""
        return value in self.choices if self.choices else value is not None and self.low <= value <= self.high


def space_of(preset: Preset) -> dict[str, Range]:
    """Return the fields that are searched for a preset, by name."""
    lr = preset.train.lr
    space = {
        "dropout": Range(low=0.0, high=0.5),
        "lr": Range(low=lr / 5, high=lr * 3, log=True),
        "batch": Range(choices=(64, 128, 232, 465)),
    }
    if preset.encoder.kind != "clicked":
        space["input_dropout"] = Range(low=0.0, high=0.6)
    if preset.encoder.kind == "transformer":
        space["layers"] = Range(choices=(1, 2, 3))
        space["activation"] = Range(choices=("relu", "swiglu"))
    if not preset.encoder.interests and not preset.committee and preset.codes is None:
        space["hidden"] = Range(choices=(64, 96, 128, 192, 256))
    negatives = preset.negatives
    for kind in ("popular", "uniform"):
        if getattr(negatives, kind):
            space[kind] = Range(choices=(512, 1_024, 2_048, 4_096, 8_192))
    if negatives.popular:
        space["alpha"] = Range(low=0.0, high=1.0)
    return space


def suggested(trial: Suggests, space: dict[str, Range]) -> dict[str, Any]:
    """Return the values that a trial takes."""
    found: dict[str, Any] = {}
    for name, one in space.items():
        if one.choices:
            found[name] = trial.suggest_categorical(name, one.choices)
        else:
            found[name] = trial.suggest_float(name, one.low, one.high, log=one.log)
    return found


def start_of(preset: Preset, space: dict[str, Range]) -> dict[str, Any]:
    """Return the preset's own values of what is searched, where they lie within: the first trial."""
    found = {}
    for name, one in space.items():
        part = next(
            part for part in (preset.encoder, preset.negatives, preset.loss, preset.train) if hasattr(part, name)
        )
        value = getattr(part, name)
        value = preset.encoder.dropout if name == "input_dropout" and value is None else value
        if one.holds(value):
            found[name] = value
    return found
