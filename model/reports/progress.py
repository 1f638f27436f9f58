"""What training reports while it runs, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["OnProgress", "Progress", "ignore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report of one `stage`.

    These are read, estimate, baselines, codes, train, validate, export, parity, evaluate, gate, refit and publish.
    """

    stage: str
    message: str = ""  # one line for people
    epoch: int = 0  # running epoch, from 1; 0 outside training
    epochs: int = 0  # epochs asked for
    step: int = 0  # steps done in this epoch
    steps: int = 0  # steps an epoch
    done: float = 0.0  # share of this encoder's training that is over
    loss: float = float("nan")  # mean since the last report; of the epoch in a validation
    sessions_per_s: float = 0.0  # trained sessions a second of training time, validation apart
    remaining_s: float | None = None  # seconds until all encoders are trained, about; None: not known
    member: str = ""  # which encoder of a committee this is about: 2/3
    metrics: Mapping[str, float] = field(default_factory=dict)  # of a finished validation or evaluation


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Report to nobody."""
