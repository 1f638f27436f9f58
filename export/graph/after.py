"""What a graph does to a session's scores afterwards: a bias for items that it holds, and counts of what follows what.

B sessions, L positions, V catalogue without padding, X fresh items, N neighbours an item, n newest clicks that count,
P places whose score changes, C candidates.

The scores z of the network become, on its own scale (the log of what its softmax sums is `norm`),

    f_i = norm + log(exp(z_i - norm) + m c_i) + b_i,   c = sum_t d^t W[click t] / sum_t d^t,   m = lambda / (1 - lambda)

which ranks as log((1 - lambda) softmax(z)_i + lambda c_i) + b_i does: a mixture of the network's distribution with that
of the counts, rows W of the n newest clicks, t back from the newest. b is `last` for the newest click, `seen` for the
session's other items, 0 for the rest. An item that no count knows keeps its z, so fresh items compare with the others.
Of the row of click t the first ceil(N d^t) neighbours are read: what is left out weighs little, and costs as much.

Only P places of the (B, V) scores change, by a gather and a scatter. Where a place is met twice both writes are of the
same value, computed from the place alone: so neither order nor a session's neighbours in the batch can matter.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["BARRED", "MIXED_NEAR", "NEIGHBOURS", "Afterwards", "AfterwardsConfig", "Changes", "reads"]

NEIGHBOURS = 100  # N
MIXED_NEAR = 0.005  # rounded scores have a norm that is as much off, and mixed scores move with it: half a percent
BARRED = -1_000.0  # a bias no score makes up for: such items come when all others are listed, as no list is cut short


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterwardsConfig:
    """What a layer does; found on held-out sessions (model/after/fit.py)."""

    last: float = 0.0  # bias of the newest click's item; BARRED: it comes last
    seen: float = 0.0  # of the session's other items
    share: float = 0.0  # lambda, the counts' part in the mixture, in [0, 1); 0: no counts
    decay: float = 0.0  # d, what a click's counts weigh against those of the click after it
    newest: int = 1  # n, clicks whose counts are read
    backward: float = 0.0  # what an item that came before counts, where one that came after counts 1

    def __post_init__(self) -> None:
        """ConfigError for values that mean nothing."""
        require_finite(self)
        if not 0.0 <= self.share < 1.0 or not 0.0 <= self.decay <= 1.0 or self.newest < 1 or self.backward < 0.0:
            raise ConfigError(
                "afterwards: the share is in [0, 1), decay in [0, 1], newest at least 1, backward not negative"
            )

    @property
    def counts(self) -> bool:
        """Whether counts have a part."""
        return self.share > 0.0

    @property
    def biased(self) -> bool:
        """Whether the session's own items are ranked otherwise."""
        return self.last != 0.0 or self.seen != 0.0

    @property
    def weight(self) -> float:
        """m, what a count weighs against a probability of the network's softmax."""
        return self.share / (1.0 - self.share)


def reads(config: AfterwardsConfig) -> list[int]:
    """Return how many neighbours are read of each of the newest clicks, the newest first."""
    return [max(1, math.ceil(NEIGHBOURS * config.decay**back)) for back in range(config.newest)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changes in the scores of a batch's sessions."""

    places: Tensor  # (B, P) columns of the scores, from 0
    counted: Tensor | None  # (B, V + 1) c by catalogue id
    bias: Tensor | None  # (B, V + 1 + X) b by id, fresh ones behind
    weight: float  # m

    def norm(self, scores: Tensor) -> Tensor:
        """Return (B, 1), the log of the sum of exp over scores (B, V); 0 where nothing is mixed in."""
        if self.counted is None:
            return scores.new_zeros((scores.shape[0], 1))
        return scores[:, :1] - torch.log_softmax(scores, dim=1)[:, :1]  # ten times as fast as ReduceLogSumExp

    def onto(self, scores: Tensor, norm: Tensor) -> Tensor:
        """Return scores (B, V) as they are after the changes."""
        found = self.at(self.places + (PAD + 1), torch.gather(scores, 1, self.places), norm)
        return torch.scatter(scores, 1, self.places, found)

    def at(self, ids: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """Return the scores (B, C) of catalogue ids int64 (B, C) after the changes."""
        if self.counted is not None:
            scores = self._mixed(scores, torch.gather(self.counted, 1, ids), norm)
        return scores if self.bias is None else scores + torch.gather(self.bias, 1, ids)

    def of(self, also: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """Return the scores (B, C) of candidates (C,), the same for all sessions, some of them fresh."""
        ids = also.to(torch.int64)
        if self.counted is not None:
            known = torch.where(ids < self.counted.shape[1], ids, PAD)
            scores = self._mixed(scores, torch.index_select(self.counted, 1, known), norm)
        return scores if self.bias is None else scores + torch.index_select(self.bias, 1, ids)

    def fresh(self, scores: Tensor) -> Tensor:
        """Return the scores (B, X) of fresh items: nothing was counted of them, but a session may hold them."""
        return scores if self.bias is None else scores + self.bias[:, self.bias.shape[1] - scores.shape[1] :]

    def _mixed(self, scores: Tensor, counted: Tensor, norm: Tensor) -> Tensor:
        mixed = norm + torch.log(torch.exp(scores - norm) + self.weight * counted)
        return torch.where(counted > 0.0, mixed, scores)


class Afterwards(nn.Module):
    """The layer of one catalogue."""

    neighbours: Tensor
    weights: Tensor

    def __init__(
        self,
        config: AfterwardsConfig,
        items: int,
        neighbours: NDArray[np.int32] | None = None,
        weights: NDArray[np.float32] | None = None,
    ) -> None:
        """items: V; neighbours int32 and weights float32 (V + 1, N or fewer), best first, of the items by catalogue id,
        padded with 0: W, wanted where counts have a part."""
        super().__init__()
        self.config, self.catalogue = config, items
        if not config.counts:
            return
        if neighbours is None or weights is None or neighbours.shape != weights.shape or len(weights) != items + 1:
            raise ConfigError(f"counts of {items} items take neighbours and weights of {items + 1} rows, alike")
        if (weights[neighbours == PAD] != 0.0).any() or (neighbours[PAD] != PAD).any():
            raise ConfigError("padding has no counts")
        self.register_buffer("neighbours", torch.from_numpy(neighbours))
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self, ids: Tensor, fresh: int = 0) -> Changes:
        """Return what changes for sessions ids int32 (B, L), right-padded with 0; fresh: X, ids V + 1 to V + X."""
        places, counted = [], None
        if self.config.counts:
            found, counted = self._counted(ids)
            places.append(found)
        bias = self._bias(ids, fresh) if self.config.biased else None
        if bias is not None:
            places.append(torch.where(ids <= self.catalogue, ids, PAD).to(torch.int64))
        columns = (torch.cat(places, dim=1) - (PAD + 1)).clamp(min=0)  # padding: a place like any, given what it has
        return Changes(places=columns, counted=counted, bias=bias, weight=self.config.weight)

    def _counted(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ids (B, P) of what follows the newest clicks, and c (B, V + 1)."""
        length = (ids != PAD).sum(dim=1, keepdim=True)  # (B, 1)
        every, shares, total = [], [], torch.zeros_like(length, dtype=torch.float32)
        for back, most in enumerate(reads(self.config)):
            at = length - (1 + back)
            there = (at >= 0).to(torch.float32) * self.config.decay**back  # (B, 1)
            click = torch.gather(ids, 1, at.clamp(min=0)).squeeze(1)  # (B,)
            click = torch.where(click <= self.catalogue, click, PAD)
            every.append(nn.functional.embedding(click, self.neighbours)[:, :most])
            shares.append(nn.functional.embedding(click, self.weights)[:, :most] * there)
            total = total + there
        places = torch.cat(every, dim=1).to(torch.int64)
        empty = torch.zeros((ids.shape[0], self.catalogue + 1), dtype=torch.float32, device=ids.device)
        return places, torch.scatter_add(empty, 1, places, torch.cat(shares, dim=1) / total)

    def _bias(self, ids: Tensor, fresh: int) -> Tensor:
        """Return b (B, V + 1 + X)."""
        length = (ids != PAD).sum(dim=1, keepdim=True)
        newest = torch.gather(ids, 1, length - 1)  # (B, 1)
        bias = torch.where(ids == newest, self.config.last, torch.where(ids == PAD, 0.0, self.config.seen))  # (B, L)
        empty = torch.zeros((ids.shape[0], self.catalogue + 1 + fresh), dtype=torch.float32, device=ids.device)
        return torch.scatter(empty, 1, ids.to(torch.int64), bias)
