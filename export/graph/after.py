"""What a graph does to a session's scores afterwards: a bias for items that it holds, and counts of what follows what.

B sessions, L positions, V catalogue without padding, X fresh items, N neighbours an item, n newest clicks that count,
P places whose score changes, C candidates.

The scores z of the network become, on its own scale (the log of what its softmax sums is `norm`),

    f_i = norm + log(exp(z_i - norm) + m c_i) + b_i,   c = sum_t d^t W[click t] / sum_t d^t,   m = lambda / (1 - lambda)
    b_i = (last if a_i = 0, else seen) + again log(n_i) + fade log(1 + a_i)

which ranks as log((1 - lambda) softmax(z)_i + lambda c_i) + b_i does: a mixture of the network's distribution with that
of the counts, rows W of the n newest clicks, t back from the newest. b is of what the session holds, n_i times and a_i
clicks ago at the latest, and 0 for the rest. An item that no count knows keeps its z, so fresh items compare with the
others. Of the row of click t the first ceil(N d^t) neighbours are read: what is left out weighs little, and costs as
much.

Only P places of the (B, V) scores change, by a gather and a scatter. Where a place is met twice both writes are of the
same value, computed from the place alone: so neither order nor a session's neighbours in the batch can matter.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.afterwards import LARGEST, AfterwardsConfig, reads
from export.bundle.vocabulary import PAD
from export.errors import ConfigError

__all__ = ["MIXED_NEAR", "Afterwards", "Changes"]

MIXED_NEAR = 0.02  # the norm of rounded scores, a logarithm, is as much off, and mixed scores move with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changes in the scores of a batch's sessions."""

    config: AfterwardsConfig
    catalogue: int  # V
    places: Tensor | None  # (B, P) columns of the scores, from 0, that counts may know
    known: Tensor | None  # (B, V + 1) c by catalogue id
    held: Tensor | None  # (B, L) int64 columns of what the sessions hold, where there are biases
    bias: Tensor | None  # (B, V + X + 1) b by id, where there are

    def norm(self, scores: Tensor) -> Tensor:
        """Return (B, 1), the log of the sum of exp over scores (B, V); 0 where nothing is mixed in.

        Neither subtracting the largest first, which costs as much again, nor ReduceLogSumExp, which is ten times as
        slow, is needed by scores below 80; larger ones get a norm that is as large as can be, and are not mixed."""
        if not self.config.counts:
            return scores.new_zeros((scores.shape[0], 1))
        return scores.exp().sum(dim=1, keepdim=True).log().clamp(-LARGEST, LARGEST)

    def onto(self, scores: Tensor, norm: Tensor) -> Tensor:
        """Return scores (B, V) as they are after the changes."""
        if self.places is not None:
            mixed = self._mixed(self.places + (PAD + 1), torch.gather(scores, 1, self.places), norm)
            scores = torch.scatter(scores, 1, self.places, mixed)
        if self.held is not None:
            biased = self._biased(self.held + (PAD + 1), torch.gather(scores, 1, self.held))
            scores = torch.scatter(scores, 1, self.held, biased)
        return scores

    def at(self, ids: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """Return the scores (B, C) of catalogue ids int64 (B, C) after the changes."""
        return self._biased(ids, self._mixed(ids, scores, norm))

    def of(self, also: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """Return the scores (B, C) of candidates int32 (C,), the same for all sessions, some of them fresh."""
        ids = torch.where(also <= self.catalogue, also, PAD).to(torch.int64)
        return self._biased(also.to(torch.int64), self._mixed(ids, scores, norm))

    def fresh(self, scores: Tensor) -> Tensor:
        """Return the scores (B, X) of fresh items: nothing was counted of them, but a session may hold them."""
        return scores if self.bias is None else scores + self.bias[:, self.catalogue + 1 :]

    def _mixed(self, ids: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """ids: int64 (B, C), or (C,) for all sessions."""
        if self.known is None:
            return scores
        counted = _of(self.known, ids)
        mixed = norm + torch.log(torch.exp(scores - norm) + self.config.weight * counted)
        return torch.where(counted > 0.0, mixed, scores)

    def _biased(self, ids: Tensor, scores: Tensor) -> Tensor:
        return scores if self.bias is None else scores + _of(self.bias, ids)


def _of(table: Tensor, ids: Tensor) -> Tensor:
    """Return the columns (B, C) of a table (B, W) by ids int64 (B, C), or (C,) for all sessions."""
    return torch.gather(table, 1, ids) if ids.dim() > 1 else torch.index_select(table, 1, ids)


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
        places, known = self._counted(ids) if self.config.counts else (None, None)
        held, bias = self._held(ids, fresh) if self.config.biased else (None, None)
        return Changes(config=self.config, catalogue=self.catalogue, places=places, known=known, held=held, bias=bias)

    def _held(self, ids: Tensor, fresh: int) -> tuple[Tensor, Tensor]:
        """Return the columns (B, L) of what the sessions hold, and b (B, V + X + 1) by id."""
        config, place = self.config, torch.arange(ids.shape[1], device=ids.device)  # (L,)
        same = ids.unsqueeze(2) == ids.unsqueeze(1)  # (B, L, L)
        newest = torch.where(same, place, 0).amax(dim=2)  # (B, L) where each item is met for the last time
        back = (ids != PAD).sum(dim=1, keepdim=True) - 1 - newest
        bias = torch.where(back == 0, config.last, config.seen)
        if config.again:
            bias = bias + config.again * same.sum(dim=2).to(torch.float32).log()
        if config.fade:
            bias = bias + config.fade * (back + 1).clamp(min=1).to(torch.float32).log()
        bias = torch.where(ids == PAD, 0.0, bias)
        table = self._empty(ids, self.catalogue + 1 + fresh)
        table = torch.scatter(table, 1, ids.to(torch.int64), bias)
        known = torch.where(ids <= self.catalogue, ids, PAD).to(torch.int64)
        return (known - (PAD + 1)).clamp(min=0), table  # padding: the first item, given what it has

    def _counted(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places (B, P) of what follows the newest clicks, and c (B, V + 1)."""
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
        found = torch.cat(every, dim=1).to(torch.int64)
        empty = self._empty(ids, self.catalogue + 1)
        places = (found - (PAD + 1)).clamp(min=0)  # padding: the first item, given what it has
        return places, torch.scatter_add(empty, 1, found, torch.cat(shares, dim=1) / total)

    def _empty(self, ids: Tensor, columns: int) -> Tensor:
        return torch.zeros((ids.shape[0], columns), dtype=torch.float32, device=ids.device)
