"""How long a training will take, by a few of its own steps: told before it starts.

The steps are those of a training that is thrown away: everything random follows from seed and step, so the training
itself computes what it would have computed without. Steps at the end of a training may cost more (`popular_at_end`),
and are measured apart.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.config import Preset
from model.data.known_items import ItemFeatures
from model.data.log import SessionLog
from model.learn.train import MOST_VALIDATIONS, Trainer
from model.learn.validation import validate
from model.machine.memory import release_memory

__all__ = ["MemberOutlook", "Outlook", "in_words", "outlook"]

FEWEST = 40  # steps of a training: a shorter one is over before it could be estimated
STEPS = 3  # that are timed at each of the two ends, after one that warms up
MOST_S = 4.0  # of timing at each of them
SESSIONS = 64  # of those held out, by which a validation is timed


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOutlook:
    """What one encoder's training costs, about."""

    steps: int
    step_s: float  # seconds of a step at the beginning
    late_s: float  # and among the last ones
    late: float  # share of the steps that are the last ones
    validation_s: float  # of one validation
    validations: int

    @property
    def seconds(self) -> float:
        """All of it."""
        steps = self.steps * (self.step_s * (1 - self.late) + self.late_s * self.late)
        return steps + self.validation_s * self.validations

    def work(self, done: float) -> float:
        """Return the share of the time that is over when the share `done` of the steps is."""
        whole = self.step_s * (1 - self.late) + self.late_s * self.late
        early = min(done, 1 - self.late) * self.step_s
        late = max(0.0, done - (1 - self.late)) * self.late_s
        return (early + late) / whole if whole > 0 else done


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a training costs, about: of each encoder, one after the other."""

    members: tuple[MemberOutlook, ...]
    limit_s: float | None = None  # the time limit of all of them

    @property
    def seconds(self) -> float:
        """How long it takes, the time limit in mind."""
        found = sum(one.seconds for one in self.members)
        return found if self.limit_s is None else min(found, self.limit_s)

    def told(self) -> str:
        """Return one line for people."""
        steps = sum(one.steps for one in self.members)
        times = [one.step_s for one in self.members] + [one.late_s for one in self.members if one.late]
        low, high = 1000 * min(times), 1000 * max(times)
        each = f"{low:,.0f} ms" if high < 1.1 * low else f"{low:,.0f} to {high:,.0f} ms"
        encoders = f" of {len(self.members)} encoders" if len(self.members) > 1 else ""
        checks = sum(one.validations for one in self.members)
        validations = f"{checks} validations" if checks > 1 else "a validation"
        cut = "" if self.limit_s is None or self.seconds < self.limit_s else " by the time limit, which ends it"
        what = f"{steps:,} steps{encoders} of {each}, {validations}"
        return f"the training takes about {in_words(self.seconds)}{cut}: {what}, by {STEPS} timed steps"


def outlook(
    log: SessionLog, valid: SessionLog, preset: Preset, *, processes: int = 1, items: ItemFeatures | None = None
) -> Outlook | None:
    """Return what training `preset` on `log` costs; None where it is so short that nobody waits for it.

    processes: that share every batch; items: of a training that learns attributes.
    """
    members = preset.members()
    total = sum(member.train.steps(log.sessions)[1] for member in members)
    if total < FEWEST * len(members) or not log.sessions:
        return None
    with torch.random.fork_rng(devices=[]):
        found = tuple(_of_member(log, valid, member, processes, items) for member in members)
    release_memory()
    return Outlook(members=found, limit_s=preset.train.max_seconds)


def _of_member(
    log: SessionLog, valid: SessionLog, preset: Preset, processes: int, items: ItemFeatures | None
) -> MemberOutlook:
    codes = None
    if preset.codes is not None:  # which ones is all the same to the time
        codes = np.zeros((len(log.vocabulary) + 1, preset.codes.splits), np.uint8)
    tried = Trainer(log, valid, preset, run="", items=items, codes=codes)
    step_s, negatives = _seconds(tried, 0) / processes, preset.negatives
    late_s, late = step_s, 0.0
    if negatives.popular_at_end:
        late = negatives.ending
        late_s = _seconds(tried, max(0, tried.total - 1 - STEPS)) / processes
    held_out = tried.valid
    part = held_out.thinned(SESSIONS)
    began = time.perf_counter()
    validate([tried.encoder], part, row=preset.train.row)
    once = (time.perf_counter() - began) * held_out.clicks / max(1, part.clicks)
    epochs = -(-tried.total // tried.steps)
    return MemberOutlook(
        steps=tried.total,
        step_s=step_s,
        late_s=late_s,
        late=late,
        validation_s=once,
        validations=min(epochs, MOST_VALIDATIONS) if preset.train.validate_epochs else 1,
    )


def _seconds(tried: Trainer, first: int) -> float:
    """Return the median time of a few steps from `first` on."""
    tried.step, began, times = first, time.perf_counter(), []
    for number in range(STEPS + 1):
        start = time.perf_counter()
        tried.train_step()
        times.append(time.perf_counter() - start)
        if number and time.perf_counter() - began > MOST_S:
            break
    return _median(times[1:])


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def in_words(seconds: float) -> str:
    """Return a duration as people say it: 45 s, 12 min, 2 h 5 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
