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

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.afterwards import LARGEST, AfterwardsConfig, reads
from export.bundle.vocabulary import PAD
from export.errors import ConfigError

__all__ = ["MIXED_NEAR", "Afterwards", "Changes"]

MIXED_NEAR = 0.02  # rounded scores have a norm that is as much off, and mixed scores move with it: two percent
_HELD = 1e-6  # marks an item that the session holds, and is subtracted again; smaller ones the exporter takes for 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changes in the scores of a batch's sessions."""

    config: AfterwardsConfig
    places: Tensor  # (B, P) columns of the scores, from 0
    newest: Tensor  # (B, 1) int64 id of the newest click
    known: (
        Tensor | None
    )  # (B, V + 1) c by catalogue id; of an item that the session holds -(c + _HELD), if that matters
    fresh_bias: Tensor | None  # (B, X + 1) b of the fresh items, behind a column that means nothing

    def norm(self, scores: Tensor) -> Tensor:
        """Return (B, 1), the log of the sum of exp over scores (B, V); 0 where nothing is mixed in.

        Neither subtracting the largest first, which costs as much again, nor ReduceLogSumExp, which is ten times as
        slow, is needed by scores below 80; larger ones get a norm that is as large as can be, and are not mixed."""
        if not self.config.counts:
            return scores.new_zeros((scores.shape[0], 1))
        return scores.exp().sum(dim=1, keepdim=True).log().clamp(-LARGEST, LARGEST)

    def onto(self, scores: Tensor, norm: Tensor) -> Tensor:
        """Return scores (B, V) as they are after the changes."""
        found = self.at(self.places + (PAD + 1), torch.gather(scores, 1, self.places), norm)
        return torch.scatter(scores, 1, self.places, found)

    def at(self, ids: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """Return the scores (B, C) of catalogue ids int64 (B, C) after the changes."""
        known = None if self.known is None else torch.gather(self.known, 1, ids)
        return self._changed(ids, scores, known, norm)

    def of(self, also: Tensor, scores: Tensor, norm: Tensor) -> Tensor:
        """Return the scores (B, C) of candidates (C,), the same for all sessions, some of them fresh."""
        ids, first = also.to(torch.int64), self.places.new_zeros(())
        if self.known is not None:
            first = first + self.known.shape[1]  # the first fresh id
        known = None if self.known is None else torch.index_select(self.known, 1, torch.where(ids < first, ids, PAD))
        changed = self._changed(ids, scores, known, norm)
        if self.fresh_bias is None or self.known is None:
            return changed
        bias = torch.index_select(self.fresh_bias, 1, (ids - first + 1).clamp(min=0))
        return torch.where(ids >= first, scores + bias, changed)

    def fresh(self, scores: Tensor) -> Tensor:
        """Return the scores (B, X) of fresh items: nothing was counted of them, but a session may hold them."""
        return scores if self.fresh_bias is None else scores + self.fresh_bias[:, 1:]

    def _changed(self, ids: Tensor, scores: Tensor, known: Tensor | None, norm: Tensor) -> Tensor:
        """known (B, C): what is known of the ids, (B, C) or (C,)."""
        if known is not None and self.config.counts:
            counted = torch.where(known < 0.0, -known - _HELD, known)
            mixed = norm + torch.log(torch.exp(scores - norm) + self.config.weight * counted)
            scores = torch.where(counted > 0.0, mixed, scores)
        if not self.config.biased:
            return scores
        others = 0.0 if known is None else torch.where(known < 0.0, self.config.seen, 0.0)
        return scores + torch.where(ids == self.newest, self.config.last, others)


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
        length = (ids != PAD).sum(dim=1, keepdim=True)
        newest = torch.gather(ids, 1, length - 1).to(torch.int64)  # (B, 1)
        held = torch.where(ids <= self.catalogue, ids, PAD).to(torch.int64)  # (B, L)
        places, known = [], None
        if self.config.counts:
            found, known = self._counted(ids)
            places.append(found)
        if self.config.biased:
            places.append(held)
        if self.config.seen != 0.0:
            known = self._empty(ids, self.catalogue + 1) if known is None else known
            known = torch.scatter(known, 1, held, -(torch.gather(known, 1, held) + _HELD))
        columns = (torch.cat(places, dim=1) - (PAD + 1)).clamp(min=0)  # padding: a place like any, given what it has
        return Changes(
            config=self.config,
            places=columns,
            newest=newest,
            known=known,
            fresh_bias=self._of_fresh(ids, newest, fresh) if self.config.biased else None,
        )

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
        empty = self._empty(ids, self.catalogue + 1)
        return places, torch.scatter_add(empty, 1, places, torch.cat(shares, dim=1) / total)

    def _of_fresh(self, ids: Tensor, newest: Tensor, fresh: int) -> Tensor:
        """Return b (B, X + 1) of fresh items, behind a column that all others are written to."""
        bias = torch.where(ids == newest, self.config.last, torch.where(ids == PAD, 0.0, self.config.seen))  # (B, L)
        places = (ids - self.catalogue).clamp(min=0).to(torch.int64)
        return torch.scatter(self._empty(ids, fresh + 1), 1, places, bias)

    def _empty(self, ids: Tensor, columns: int) -> Tensor:
        return torch.zeros((ids.shape[0], columns), dtype=torch.float32, device=ids.device)
