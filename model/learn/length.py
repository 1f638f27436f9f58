"""How long a training is, and where its rate falls: by steps that are told before, or by evidence.

By evidence: the rate is warmed up and stays; now and then a few held-out sessions are ranked; where they no longer
gain, or where steps or time are nearly used up, the rate is brought down to 0, over a share of the steps so far. So a
training ends well whenever it ends. Source: Hu et al., "MiniCPM", 2024, section 4 (warm-up, stable, decay); Hagele et
al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", NeurIPS 2024 (down by 1 - sqrt).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from model.learn.config import TrainConfig

__all__ = ["ByEvidence", "BySteps", "Length", "length_of"]

FEWEST = 50  # steps between two looks, at least
SPREAD = 1.12  # and each so much later than the one before: looks are a bounded share of any training
WARM_AFTER = 10  # the warm-up takes one part in so many of a training at most


class Length(Protocol):
    """What a Trainer asks; `step` counts those done, `spent` is seconds of training, earlier parts among them."""

    total: int  # steps at most

    @property
    def limited(self) -> bool:
        """Whether a limit of steps or time ended what held-out sessions, or its own length, would have let go on."""

    def done(self, step: int, spent: float) -> float:
        """Return the share of the training that is over, about, 0..1."""

    def factor(self, step: int, spent: float) -> float:
        """Return what the learning rate is multiplied with in step number `step`, from 0."""

    def over(self, step: int) -> bool:
        """Return whether no step is left."""

    def looks(self, step: int) -> bool:
        """Return whether held-out sessions are wanted now, for `note`."""

    def note(self, step: int, spent: float, quality: float) -> None:
        """Take in how good the weights are now; the decay may begin of it."""

    def tick(self, step: int, spent: float) -> None:
        """Begin the decay where steps or time say so."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


def length_of(config: TrainConfig, sessions: int, *, by_time: bool = True) -> Length:
    """Return the length of a training on so many sessions. by_time: its time limit counts; else steps alone."""
    epoch, total = config.steps(sessions)
    limit = config.max_seconds if by_time else None
    return (ByEvidence if config.schedule == "stable" else BySteps)(config, epoch, total, limit)


def _warm(config: TrainConfig, step: int, done: float) -> float:
    return min(1.0, max((step + 1) / config.warmup, WARM_AFTER * done)) if config.warmup else 1.0


@dataclass(slots=True)
class BySteps:
    """So many steps, or as many as fit into the time: a constant rate, or a cosine over the whole of it."""

    config: TrainConfig
    epoch: int
    total: int
    limit_s: float | None = None

    @property
    def limited(self) -> bool:
        """Its own length is longer than the steps it is given; of its time the loop knows."""
        return self.config.max_steps is not None and self.total >= self.config.max_steps

    def done(self, step: int, spent: float) -> float:
        """By steps or by time, what is further: a schedule ends with it."""
        return min(1.0, max(step / self.total, spent / self.limit_s if self.limit_s is not None else 0.0))

    def factor(self, step: int, spent: float) -> float:
        """The warm-up takes a tenth of the training at most."""
        done = self.done(step, spent)
        warm = _warm(self.config, step, done)
        return warm * 0.5 * (1.0 + math.cos(math.pi * done)) if self.config.schedule == "cosine" else warm

    def over(self, step: int) -> bool:
        """All steps are done."""
        return step >= self.total

    def looks(self, step: int) -> bool:
        """Never: the length is set."""
        return False

    def note(self, step: int, spent: float, quality: float) -> None:
        """Nothing follows."""

    def tick(self, step: int, spent: float) -> None:
        """Nothing to decide."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""


@dataclass(slots=True)
class ByEvidence:
    """A stable rate while held-out sessions gain, then the decay; the steps of the config are the most."""

    config: TrainConfig
    epoch: int
    total: int
    limit_s: float | None = None
    begun: int | None = None  # step at which the decay began
    begun_s: float = 0.0  # seconds of training then
    falls: int = 0  # steps of the decay
    best: float = 0.0  # quality of the best look
    idle: int = 0  # looks since then
    next_look: int = 0
    limited: bool = False  # a limit of steps or time began the decay

    def __post_init__(self) -> None:
        self.next_look = self._after(0)

    def done(self, step: int, spent: float) -> float:
        """Of the most that it can take; the decay is the last part of it."""
        stable = 1.0 / (1.0 + self.config.decay)
        if self.begun is not None:
            return stable + (1.0 - stable) * self.fallen(step, spent)
        by_time = spent / self.limit_s if self.limit_s is not None else 0.0
        return min(stable, max(step / self.total, by_time))

    def fallen(self, step: int, spent: float) -> float:
        """Return the share of the decay that is over, by steps or by time, what is further."""
        if self.begun is None:
            return 0.0
        by_steps = (step - self.begun) / self.falls
        left = self.limit_s - self.begun_s if self.limit_s is not None else math.inf
        return min(1.0, max(by_steps, (spent - self.begun_s) / left if left > 0 else 1.0))

    def factor(self, step: int, spent: float) -> float:
        """Warmed up, 1, then 1 - sqrt(share of the decay)."""
        return _warm(self.config, step, self.done(step, spent)) * (1.0 - math.sqrt(self.fallen(step, spent)))

    def over(self, step: int) -> bool:
        """The decay is through."""
        return self.begun is not None and step >= self.begun + self.falls

    def looks(self, step: int) -> bool:
        """Only before the decay, and where they can change anything."""
        return self.begun is None and step >= self.next_look and self.config.patience > 0

    def note(self, step: int, spent: float, quality: float) -> None:
        """The decay begins after `patience` looks without a gain, once `min_steps` are done."""
        self.next_look = self._after(step)
        if quality > self.best * (1.0 + self.config.look_gain):
            self.best, self.idle = quality, 0
            return
        self.idle += 1
        if self.idle >= self.config.patience and step >= self.config.min_steps:
            self._begin(step, spent)

    def tick(self, step: int, spent: float) -> None:
        """At the latest where what is left, of steps or time, is the decay's."""
        if self.begun is not None:
            return
        stable = 1.0 / (1.0 + self.config.decay)
        out_of_time = self.limit_s is not None and spent >= self.limit_s * stable
        if out_of_time or step >= round(self.total * stable):
            most = self.config.max_steps
            self.limited = out_of_time or (most is not None and self.total >= most)
            self._begin(step, spent)

    def state(self) -> dict[str, Any]:
        """All that is not in the config."""
        kept = ("begun", "begun_s", "falls", "best", "idle", "next_look", "limited")
        return {name: getattr(self, name) for name in kept}

    def restore(self, state: dict[str, Any]) -> None:
        """KeyError where it is the state of another kind of length."""
        for name in self.state():
            setattr(self, name, state[name])

    def _begin(self, step: int, spent: float) -> None:
        self.begun, self.begun_s = step, spent
        self.falls = max(1, math.ceil(step * self.config.decay))

    def _after(self, step: int) -> int:
        apart = max(FEWEST, round(self.epoch * self.config.look_every))
        return max(step + apart, math.ceil(step * SPREAD))
