"""Which items a batch's positions are compared with.

Legend: T positions, C candidate columns, D distinct uniform items, M in-batch draws, V catalogue ids 1..V.
Uniform draws are with replacement, so an item can come several times; it then has one column and a count, which gives
the same loss as that many equal columns. In-batch draws come from the batch's targets and so follow popularity.
Source: Wilm et al., RecSys 2023; masking of accidental hits (a negative that is the position's target) is added.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from export.vocabulary import PAD
from model.config import NegativesConfig


class Negatives(NamedTuple):
    """Candidates shared by a batch: first the D distinct uniform items in rising order, then the M in-batch draws."""

    ids: Tensor  # (C,) int64 catalogue ids
    counts: Tensor  # (C,) float32, how many draws each column stands for
    owners: Tensor  # (M,) int64, session the in-batch draw came from


def draw(
    targets: Tensor, sessions: Tensor, *, catalogue: int, config: NegativesConfig, generator: torch.Generator
) -> Negatives:
    """Return the candidates of a batch with targets (T,) and the session number (T,) of each."""
    drawn = torch.randint(PAD + 1, catalogue + 1, (config.uniform,), generator=generator)
    distinct, counts = torch.unique(drawn, return_counts=True)
    rows = torch.randint(targets.shape[0], (config.in_batch,), generator=generator)
    return Negatives(
        ids=torch.cat([distinct, targets[rows]]),
        counts=torch.cat([counts.float(), torch.ones(config.in_batch)]),
        owners=sessions[rows],
    )


def mask_(scores: Tensor, negatives: Negatives, targets: Tensor, sessions: Tensor) -> None:
    """Set to -inf, in scores (T, C): each position's own target, and in-batch draws of its own session."""
    distinct = negatives.ids.shape[0] - negatives.owners.shape[0]  # D
    uniform = negatives.ids[:distinct]
    column = torch.searchsorted(uniform, targets).clamp_(max=distinct - 1)  # (T,)
    hit = (uniform[column] == targets).nonzero().squeeze(1)
    scores[hit, column[hit]] = -torch.inf
    in_batch = scores[:, distinct : negatives.ids.shape[0]]  # (T, M)
    own = negatives.owners == sessions.unsqueeze(1)
    in_batch.masked_fill_(own | (negatives.ids[distinct:] == targets.unsqueeze(1)), -torch.inf)
