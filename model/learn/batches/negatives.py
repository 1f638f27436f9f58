"""Which items a batch's positions are compared with.

Legend: T positions, C candidate columns, D distinct drawn items, M in-batch draws, V catalogue ids 1..V.
- uniform: with replacement, as published. An item drawn several times has one column and the logarithm of that number
  added to its score, which gives a softmax the same value as that many equal columns.
- popular: distinct items, item j with probability q_j = min(1, c * clicks_j^alpha), by systematic sampling: the head of
  the catalogue is always there, so that the estimate of the full softmax varies less than by draws with replacement
  (GRU4Rec: Hidasi & Karatzoglou, CIKM 2018, section 3.1).
- in-batch: draws from the batch's targets, which therefore follow popularity (Wilm et al., RecSys 2023).
Masking of accidental hits (a negative that is the position's own target) is added to all of them.
With `logq` a column's score is lowered by the logarithm of its item's expected number of draws, which makes the sum of
the columns an unbiased estimate of the sum over the catalogue (Bengio & Senécal, 2003; sampled softmax).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.bundle.vocabulary import PAD
from model.learn.config import LossConfig, NegativesConfig

__all__ = ["Candidates", "Sampler", "at_end", "inclusion", "mask_", "stops", "systematic"]

LARGE = 1 << 18  # items: from here on they stand in the same line for SAME_LINE steps, as forming one costs the most
SAME_LINE = 64
NEARLY_ALL = 0.7  # of the catalogue: from here on, taking all of it costs less than drawing


class Candidates(NamedTuple):
    """Columns shared by a batch: the D distinct items in rising order, then the M in-batch draws."""

    ids: Tensor | None  # (C,) int64 catalogue ids; None: the whole catalogue, column i - 1 is id i
    bias: Tensor | None  # (C,) float32, added to the scores of each column; None: nothing
    owners: Tensor  # (M,) int64, session that the in-batch draw came from
    counted: bool = False  # the bias is the logarithm of a column's number of draws

    @property
    def in_batch(self) -> int:
        """M, the number of columns at the end that come from the batch itself."""
        return int(self.owners.shape[0])


class Sampler:
    """Draws the candidates of one batch after the other."""

    def __init__(
        self,
        config: NegativesConfig,
        popularity: NDArray[np.int64],
        *,
        loss: LossConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        """Take the clicks (V,) of ids 1..V in training. Only a softmax weighs a column by its number of draws."""
        self.config, self.device = config, torch.device(device)
        self.logq = loss.logq
        self.counted = loss.objective == "softmax" and not (loss.logq or loss.hard)
        self.catalogue = len(popularity)
        only_popular = config.popular > 0 and not (config.uniform or config.in_batch or config.top)
        self.everything = config.everything or (only_popular and config.popular >= NEARLY_ALL * self.catalogue)
        self._line: tuple[int, Tensor, Tensor] | None = None  # its seed, its order, and the chances summed along it
        self._nothing = torch.empty(0, dtype=torch.int64, device=self.device)
        if self.everything or config.each:
            return
        chance = inclusion(popularity, config.popular, config.alpha)
        self._chance = torch.from_numpy(chance).float()  # (V,)
        expected = chance + config.uniform / self.catalogue
        expected += config.in_batch * popularity / max(1, popularity.sum())
        with np.errstate(divide="ignore"):
            self._log_expected = torch.from_numpy(np.log(expected)).float()  # (V,)

    @property
    def per_batch(self) -> int:
        """How many negatives a position is compared with, about."""
        config = self.config
        if self.everything:
            return self.catalogue - 1
        return config.each or min(config.uniform + config.popular, self.catalogue) + config.in_batch

    def draw(
        self, targets: Tensor, sessions: Tensor, generator: torch.Generator, line_seed: int | None = None
    ) -> Candidates:
        """Return the candidates of a batch with targets (T,) and the session number (T,) of each, int64.

        line_seed: of the order that a large catalogue is drawn from, for several batches; None: each has its own.
        """
        if self.everything:
            return Candidates(None, None, self._nothing)
        distinct, counts = self._distinct(generator, line_seed)
        rows = torch.randint(targets.shape[0], (self.config.in_batch,), generator=generator).to(self.device)
        others = targets[rows]
        ids, bias = torch.cat([distinct, others]), None
        if self.logq or self.counted:
            bias = torch.cat([counts.log(), torch.zeros(len(others), device=self.device)])
        if self.logq and bias is not None:
            bias -= self._log_expected[ids.cpu() - 1].to(self.device)
        return Candidates(ids, bias, sessions[rows], self.counted)

    def draw_each(self, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Return ids (T, n) drawn uniformly for each position by itself; some may be its target."""
        shape = (targets.shape[0], self.config.each)
        return torch.randint(PAD + 1, self.catalogue + 1, shape, generator=generator).to(self.device)

    def _distinct(self, generator: torch.Generator, line_seed: int | None) -> tuple[Tensor, Tensor]:
        """Return the distinct items (D,) in rising order, and how often each was drawn, float32."""
        drawn = []
        if self.config.uniform:
            drawn.append(torch.randint(PAD + 1, self.catalogue + 1, (self.config.uniform,), generator=generator))
        if self.config.popular:
            drawn.append(self._popular(generator, line_seed) + PAD + 1)
        distinct, counts = torch.unique(torch.cat(drawn), return_counts=True)
        return distinct.to(self.device), counts.float().to(self.device)

    def _popular(self, generator: torch.Generator, line_seed: int | None) -> Tensor:
        if line_seed is None or self.catalogue < LARGE:
            return systematic(self._chance, generator)
        if self._line is None or self._line[0] != line_seed:
            order = torch.randperm(self.catalogue, generator=torch.Generator().manual_seed(line_seed))
            self._line = line_seed, order, self._chance[order].double().cumsum(0)
        _, order, upto = self._line
        return order[stops(upto, torch.rand(1, generator=generator, dtype=torch.float64))]


def at_end(config: NegativesConfig) -> NegativesConfig:
    """Return the negatives of a training's last steps."""
    return replace(config, popular=config.popular_at_end, popular_at_end=0) if config.popular_at_end else config


def inclusion(popularity: NDArray[np.int64], count: int, alpha: float) -> NDArray[np.float64]:
    """Return q (V,) = min(1, c * clicks^alpha), c such that their sum is `count` (all 1 where V is not larger)."""
    if count >= len(popularity):
        return np.ones(len(popularity))
    weights = np.sort(np.maximum(popularity, 1).astype(np.float64) ** alpha)
    # With the n heaviest certain, c = (count - n) / (weight of the rest); the first n at which no more reach 1 is it
    rest = np.cumsum(weights)[::-1]  # (V,) weight of all but the n heaviest, n = 0, 1, ...
    scale = (count - np.arange(len(weights))) / rest
    settled = np.flatnonzero(scale * weights[::-1] <= 1.0)
    c = scale[settled[0]] if len(settled) else np.inf
    return (
        np.minimum(1.0, c * np.maximum(popularity, 1).astype(np.float64) ** alpha) if count else np.zeros(len(weights))
    )


def systematic(chance: Tensor, generator: torch.Generator) -> Tensor:
    """Return the places drawn, each i with probability chance[i], their number within 1 of the sum of `chance`."""
    order = torch.randperm(chance.shape[0], generator=generator)
    upto = chance[order].double().cumsum(0) + torch.rand(1, generator=generator, dtype=torch.float64)
    whole = upto.floor()
    first = whole[:1] >= 1.0
    return order[torch.cat([first, whole[1:] > whole[:-1]])]


def stops(upto: Tensor, start: Tensor) -> Tensor:
    """Return the places where `systematic` stops along chances summed up (V,), from `start` (1,) in [0, 1)."""
    whole = torch.arange(1, int(upto[-1] + start) + 1, dtype=torch.float64)
    return torch.searchsorted(upto, whole - start).clamp_(max=len(upto) - 1)


def mask_(scores: Tensor, candidates: Candidates, targets: Tensor, sessions: Tensor) -> None:
    """Set to -inf, in scores (T, C): each position's own target, and in-batch draws of its own session."""
    if candidates.ids is None:
        scores.scatter_(1, (targets - PAD - 1).unsqueeze(1), -torch.inf)
        return
    columns = candidates.ids.shape[0]
    distinct = columns - candidates.in_batch  # D
    known = candidates.ids[:distinct]
    column = torch.searchsorted(known, targets).clamp_(max=distinct - 1)  # (T,)
    hit = (known[column] == targets).nonzero().squeeze(1)
    scores[hit, column[hit]] = -torch.inf
    if candidates.in_batch:
        in_batch = scores[:, distinct:columns]  # (T, M)
        own = candidates.owners == sessions.unsqueeze(1)
        in_batch.masked_fill_(own | (candidates.ids[distinct:] == targets.unsqueeze(1)), -torch.inf)
