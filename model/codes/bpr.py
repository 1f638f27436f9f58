"""Factors of items by matrix factorisation with BPR: a session prefers what it clicked to what it did not.

    x = p_s . (q_i - q_j) + b_i - b_j,   minimised: -log sigmoid(x)

for a click on i in session s and a uniform j, by Adagrad with one rate a row. Source: Rendle et al., "BPR", UAI 2009;
20 epochs as in asash/RecJPQ, whose LightFM takes a step a triple at a rate of 0.05; steps of many
triples at once want a higher one. Legend: S sessions, V catalogue, m factors, N triples of a step.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.bundle.vocabulary import PAD
from model.data.log import SessionLog

__all__ = ["bpr_factors"]

EPOCHS = 20
MOST = 20_000_000  # triples, however large the log: about two minutes of a core
TRIPLES = (64, 1 << 14)  # N, of a step: a 64th of an epoch, in these bounds
RATE = 0.2
DECAY = 1e-5  # of the rows that a step touches


def bpr_factors(log: SessionLog, count: int, seed: int) -> NDArray[np.float32]:
    """Return factors (V, m) of ids 1..V, m = count. Memory: m numbers a session and an item."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    items = len(log.vocabulary)
    sessions = _Rows(log.sessions, count, generator)
    factors = _Rows(items, count, generator)
    biases = _Rows(items, 1, None)
    least, most = TRIPLES
    triples = min(max(log.clicks // 64, least), most)
    for _ in range(-(-min(EPOCHS * log.clicks, MOST) // triples)):
        clicks = random.integers(log.clicks, size=triples)
        s = torch.from_numpy(np.searchsorted(log.offsets, clicks, side="right") - 1)
        i = torch.from_numpy(log.items[clicks].astype(np.int64) - (PAD + 1))
        j = torch.from_numpy(random.integers(items, size=triples))
        p, q_i, q_j = sessions.rows[s], factors.rows[i], factors.rows[j]  # (N, m) each
        x = (p * (q_i - q_j)).sum(dim=1, keepdim=True) + biases.rows[i] - biases.rows[j]
        slope = -torch.sigmoid(-x)  # (N, 1) dL/dx
        sessions.move(s, slope * (q_i - q_j) + DECAY * p)
        factors.move(torch.cat([i, j]), torch.cat([slope * p + DECAY * q_i, DECAY * q_j - slope * p]))
        biases.move(torch.cat([i, j]), torch.cat([slope, -slope]))
    return factors.rows.numpy()


class _Rows:
    """A table of parameters, moved by Adagrad."""

    def __init__(self, count: int, width: int, generator: torch.Generator | None) -> None:
        """Begin at small random numbers; at 0 without a generator."""
        self.rows = torch.zeros(count, width)
        if generator is not None:
            self.rows.normal_(std=0.3 / width, generator=generator)
        self.squares = torch.ones(count)

    def move(self, ids: Tensor, grads: Tensor) -> None:
        """Move the rows ids (N,), some maybe more than once, against grads (N, width)."""
        self.squares.index_add_(0, ids, grads.square().mean(dim=1))
        self.rows.index_add_(0, ids, grads / self.squares[ids].sqrt().unsqueeze(1), alpha=-RATE)
