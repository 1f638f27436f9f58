"""What a graph does with single items beside its list: scores of given ones, and a vector moved away from others.

B sessions, H hidden, C candidates, A items moved away from.
"""

import torch
from torch import Tensor

from export.bundle.vocabulary import PAD

__all__ = ["moved_away", "scores_of"]

_LEAST = 1e-12  # instead of the length of a vector that is all zeros


def scores_of(hidden: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
    """Return float32 scores (B, C) of candidates by the vectors hidden (B, H); rows (C, H) are those of ids (C,).

    They are the scores that the list would give them; -inf where an id is 0.
    """
    return (hidden @ rows.T).masked_fill((ids == PAD).unsqueeze(0), -torch.inf)


def moved_away(hidden: Tensor, rows: Tensor, ids: Tensor, push: Tensor) -> Tensor:
    """Return hidden (B, H) with less of what disliked items have in common; rows (B, A, H) are those of ids (B, A).

    d is the direction of the mean of their directions. What hidden has along d is lowered by `push` times itself, so
    every item falls by what it shares with both; a session that had nothing along d stays as it is, as does one whose
    ids are all 0.
    """
    directions = rows / rows.norm(dim=2, keepdim=True).clamp(min=_LEAST)
    directions = directions * (ids != PAD).unsqueeze(2)  # (B, A, H)
    mean = directions.sum(dim=1)  # (B, H)
    mean = mean / mean.norm(dim=1, keepdim=True).clamp(min=_LEAST)
    shared = (hidden * mean).sum(dim=1, keepdim=True).clamp(min=0.0)  # (B, 1)
    return torch.as_tensor(hidden - push * shared * mean)
