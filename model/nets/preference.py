"""What a preference between clicks and orders makes of a session: one model for every trade-off of the two.

Legend: S sessions, T positions, H hidden width.
Source: Wilm et al., "Pareto Front Approximation for Multi-Objective Session-Based Recommender Systems" (MultiTRON),
RecSys 2024: a model is given the preference it is judged by, drawn anew in training, and has the whole front behind it.
Theirs stands beside every item and goes through one linear layer; ours is added to every item, and scales and moves the
session's vector, so that an encoder that is told nothing computes what it did.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["MIDDLE", "Preference", "Tone"]

MIDDLE = 0.5  # where nobody says
_INNER = 16  # values between the preference and what it does


class Tone(NamedTuple):
    """What a preference does to each of some sessions, or positions."""

    into: Tensor  # (S, H) added to every event
    scale: Tensor  # (S, H) the session's vector grows by
    shift: Tensor  # (S, H) added to the session's vector

    def of(self, sessions: Tensor) -> Tone:
        """Return that of positions, by the session (T,) of each."""
        return Tone(*(part[sessions] for part in self))

    def out(self, hidden: Tensor) -> Tensor:
        """Return the vectors (S, H) as the preference has them."""
        return hidden * (1.0 + self.scale) + self.shift


class Preference(nn.Module):
    """Preferences (S,), 0 for clicks alone and 1 for orders alone -> what they do, three times (S, H)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(2, _INNER)
        self.outer = nn.Linear(_INNER, 3 * hidden)

    def initialise(self) -> None:
        """Let it do nothing at first."""
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, preference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is added to events, what vectors are scaled by, and what is added to them, (S, H) each."""
        both = torch.stack([preference, 1.0 - preference], dim=1)  # (S, 2)
        into, scale, shift = self.outer(torch.tanh(self.inner(both))).chunk(3, dim=1)
        return into, scale, shift
