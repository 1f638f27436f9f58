"""What comes of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model.nets.encoder import Encoder

__all__ = ["Trained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came out."""

    encoders: tuple[Encoder, ...]  # with the weights of the best validation, in eval mode; several rank together
    epochs: float  # passes done, a fraction where the time limit ended one
    limited: bool = False  # ended by time or steps, where held-out sessions or its own length would have let it go on
    seconds: float  # of training steps, all resumed parts and all encoders together
    spent: float  # seconds of all of it, first vectors and looks at held-out sessions among them
    sessions_per_s: float  # trained sessions a second of them
    valid: Mapping[str, float]  # the best validation
    history: list[dict[str, float]]  # one entry a validation: epoch, loss, metrics

    @property
    def learned(self) -> float:
        """Sessions that the steps took in, passes counted, of all encoders together."""
        return self.sessions_per_s * self.seconds
