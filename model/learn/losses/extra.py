"""What joins a batch's drawn negatives in its loss: a position's own negatives, and what each position counts.

Legend: T positions, n own negatives of each, K columns, H hidden width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from export.bundle.vocabulary import PAD

__all__ = ["NOTHING", "Extra", "pull_rows", "scores_of_rows"]


class Extra(NamedTuple):
    """Either part may be absent."""

    own: Tensor | None = None  # (T, n) int64 ids, 0 where there is none; in the loss whatever their score
    bias: float = 0.0  # added to their scores: the logarithm of what one of them counts in a softmax
    weights: Tensor | None = None  # (T,) what the loss of a position counts

    def weigh_(self, losses: Tensor, to_positive: Tensor, to_scores: Tensor) -> None:
        """Multiply losses (T,) and their derivatives, (T,) and (T, K), by the weights, in place."""
        if self.weights is not None:
            losses.mul_(self.weights)
            to_positive.mul_(self.weights)
            to_scores.mul_(self.weights.unsqueeze(1))

    def part(self, rows: slice) -> Extra:
        """Return that of some of the positions."""
        own, weights = (None if one is None else one[rows] for one in (self.own, self.weights))
        return Extra(own, self.bias, weights)


NOTHING = Extra()


def scores_of_rows(hidden: Tensor, table: Tensor, ids: Tensor, bias: float = 0.0) -> Tensor:
    """Return the scores (T, n) of the ids (T, n) of each position, rows of table; -inf where an id is padding."""
    scores = torch.bmm(table[ids], hidden.unsqueeze(2)).squeeze(2)  # (T, n, H) x (T, H, 1)
    return (scores + bias).masked_fill_(ids == PAD, -torch.inf)


def pull_rows(ids: Tensor, grads: Tensor, hidden: Tensor, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return dL/dhidden (T, H), and the distinct ids (U,) with dL/d(their rows) (U, H), for derivatives (T, K).

    grads are those of the scores hidden . table[ids]; (T, K, H) is never made.
    """
    to_hidden = functional.embedding_bag(ids, table, mode="sum", per_sample_weights=grads)  # (T, H)
    order = ids.flatten().argsort(stable=True)
    items, counts = torch.unique_consecutive(ids.flatten()[order], return_counts=True)
    starts, weights = counts.cumsum(0) - counts, grads.flatten()[order]
    rows = functional.embedding_bag(order // ids.shape[1], hidden, starts, mode="sum", per_sample_weights=weights)
    return to_hidden, items, rows
