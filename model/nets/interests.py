"""Several interests of a session: pooled from its clicks' states by self-attention, one weighting an interest.

    A = softmax(W2 tanh(W1 H^T)),   V = A H

over the clicks up to the one that asks. The weight of a click before the softmax depends on that click alone, so all
positions of a packed row are pooled exactly by one masked softmax over it, (R, K, P, P): rows are short, and this is a
fraction of what the encoder itself costs. No position has to be sampled.

Legend: R packed rows, P positions a row, T real positions, B sessions, L positions of a session, K interests, H hidden.
Source: Cen et al., "Controllable Multi-Interest Framework for Recommendation" (ComiRec-SA), KDD 2020, section 3.2.
There H are the item vectors, and positions are told to the attention alone: so it is with the encoder `clicked`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.learn.batches.batch import Batch
from model.nets.config import EncoderConfig

__all__ = ["Interests", "Pooled"]


class Pooled(NamedTuple):
    """Interests at each position, and how narrow each one's look is."""

    vectors: Tensor  # (T, K, H)
    focus: Tensor  # (T, K) sum of the squared weights, 1 / clicks where all count alike, 1 where one click is all


class Interests(nn.Module):
    """The pooling."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        hidden, inner = config.hidden, config.interest_inner or 4 * config.hidden
        self.widen = nn.Linear(hidden, inner, bias=False)
        self.weigh = nn.Linear(inner, config.interests, bias=False)
        for layer in (self.widen, self.weigh):
            nn.init.xavier_uniform_(layer.weight)
        self.anchored = config.anchored
        self.places = nn.Embedding(config.window, hidden) if config.kind == "clicked" else None
        if self.places is not None:
            nn.init.xavier_uniform_(self.places.weight)

    def causal(self, states: Tensor, batch: Batch) -> Pooled:
        """Return the interests of every position from the states (T, H) of its session's clicks up to it."""
        rows, length = batch.ids.shape
        positions = batch.positions.flatten().index_select(0, batch.cells)  # (T,)
        cells = batch.cells.unsqueeze(1)

        def in_rows(x: Tensor) -> Tensor:  # (T, W) -> (R, P, W)
            empty = x.new_zeros(rows * length, x.shape[1])
            return empty.scatter(0, cells.expand(-1, x.shape[1]), x).view(rows, length, x.shape[1])

        allowed = (batch.owner.unsqueeze(2) == batch.owner.unsqueeze(1)).tril()  # (R, P, P)
        weights = self._weights(in_rows(self._logits(states, positions)), allowed)  # (R, K, P, P)
        vectors = weights @ in_rows(states).unsqueeze(1)  # (R, K, P, H)
        focus = weights.square().sum(dim=3)  # (R, K, P)
        read = vectors.transpose(1, 2).flatten(0, 1).index_select(0, batch.cells)  # (T, K, H)
        return Pooled(
            read + states.unsqueeze(1) if self.anchored else read,
            focus.transpose(1, 2).flatten(0, 1).index_select(0, batch.cells),
        )

    def newest(self, states: Tensor, real: Tensor) -> Tensor:
        """Return the interests (B, K, H) of sessions whose clicks have the states (B, L, H); real (B, L) bool."""
        positions = torch.arange(states.shape[1], device=states.device)
        weights = self._weights(self._logits(states, positions), real.unsqueeze(1))  # (B, K, 1, L)
        vectors = weights.squeeze(2) @ states
        if self.anchored:
            last = (real.sum(dim=1) - 1).view(-1, 1, 1).expand(-1, 1, states.shape[2])
            vectors = vectors + states.gather(1, last)  # (B, 1, H)
        return torch.as_tensor(vectors)

    def _logits(self, states: Tensor, positions: Tensor) -> Tensor:
        """Return (..., K) for states (..., H)."""
        told = states if self.places is None else states + self.places(positions)
        return torch.as_tensor(self.weigh(torch.tanh(self.widen(told))))

    def _weights(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return weights (R, K, Q, P) for logits (R, P, K), where allowed (R, Q, P)."""
        scores = logits.transpose(1, 2).unsqueeze(2)  # (R, K, 1, P)
        return torch.softmax(scores.masked_fill(~allowed.unsqueeze(1), -math.inf), dim=-1)
