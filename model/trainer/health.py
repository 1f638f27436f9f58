"""What a trainer's /health says, and how far the training is that runs."""

from __future__ import annotations

import math

import msgspec

from model.reports.progress import Progress

__all__ = ["TrainerHealth", "TrainingProgress"]


class TrainingProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the encoder is that learns now."""

    done: float  # share of its training that is over, by steps or by the time limit
    epoch: int  # from 1
    epochs: int
    step: int  # of this epoch
    steps: int  # of an epoch
    loss: float | None = None  # mean since the last report; None: not finite
    sessions_per_s: float = 0.0
    member: str = ""  # which encoder of a committee: 2/3

    @classmethod
    def of(cls, report: Progress) -> TrainingProgress:
        """Of a report that has steps."""
        loss = round(report.loss, 4) if math.isfinite(report.loss) else None
        return cls(
            done=round(report.done, 4),
            epoch=report.epoch,
            epochs=report.epochs,
            step=report.step,
            steps=report.steps,
            loss=loss,
            sessions_per_s=round(report.sessions_per_s, 1),
            member=report.member,
        )

    def words(self) -> str:
        """One line for people."""
        of = f"encoder {self.member}, " if self.member else ""
        loss = "" if self.loss is None else f", loss {self.loss:.3f}"
        return f"{of}{self.done:.0%}, epoch {self.epoch} of {self.epochs}{loss}, {self.sessions_per_s:,.0f} sessions/s"


class TrainerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: 200 while it leads or stands by, 503 while something keeps it from training."""

    ready: bool
    state: str  # standby, reading, training
    cycle: str = ""  # that runs
    why: str = ""  # it does
    step: str = ""  # what it says
    progress: TrainingProgress | None = None  # while weights are learned, not while data is read or a model judged
    waiting: str = ""  # what the first training waits for
    version: str = ""  # published last
    gate_passed: bool | None = None
    gate: list[str] = []  # its reasons
    clicks: int = 0  # stored
    clicks_since: int = 0  # the last cycle began
    reasons: list[str] = []  # what is wrong, with the remedy
