"""What each step sees: its sessions, packed, and the candidates that their positions are compared with.

All of it follows from (seed, epoch or step, process) alone, so that a resumed training draws what an uninterrupted one
does. Legend: S sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.config import Preset
from model.data.log import SessionLog
from model.learn.batches.batch import Batch, to_tensors
from model.learn.batches.feedback import Feedback
from model.learn.batches.masking import pack_masked
from model.learn.batches.negatives import SAME_LINE, Candidates, Sampler, at_end
from model.learn.batches.packing import PackedBatch, pack
from model.learn.config import NegativesConfig
from model.learn.distributed import Team
from model.learn.losses.objectives import RowLoss, row_loss
from model.learn.seeds import LINE, MASKS, NEGATIVES, ORDER, seed_of

__all__ = ["Comparison", "Draws"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What positions are compared with in one part of a training, and how that is judged."""

    sampler: Sampler
    row_loss: RowLoss


class Draws:
    """The sessions, batches and negatives of one training."""

    def __init__(self, log: SessionLog, preset: Preset, *, device: torch.device, team: Team) -> None:
        self.feedback = Feedback(log, preset) if preset.feedback else None
        log = log.wanted()  # to any other preset a skip is no event at all
        self.log, self.preset, self.device, self.team = log, preset, device, team
        self._usual, self._at_end = (self._comparison(kind) for kind in (preset.negatives, at_end(preset.negatives)))
        self._order: tuple[int, Tensor] | None = None

    def _comparison(self, negatives: NegativesConfig) -> Comparison:
        loss = self.preset.loss
        sampler = Sampler(negatives, self.log.popularity(), loss=loss, device=self.device)
        return Comparison(sampler, row_loss(loss, negatives=sampler.per_batch, catalogue=len(self.log.vocabulary)))

    @property
    def everything(self) -> bool:
        """Whether positions are compared with the whole catalogue, always or at the end."""
        return self._usual.sampler.everything or self._at_end.sampler.everything

    def reach(self) -> dict[str, int]:
        """Return the size of the catalogue, and about how many of its rows a step touches."""
        clicks = self.log.clicks / self.log.sessions * self.preset.train.batch
        drawn = self._at_end.sampler.per_batch * (round(clicks) if self.preset.negatives.each else 1)
        return {"catalogue": len(self.log.vocabulary), "touched": round(clicks) + drawn}

    def sessions(self, epoch: int, step: int) -> Tensor:
        """Return the sessions (S,) of a step of an epoch, both from 0; all processes have the same."""
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(seed_of(self.preset.train.seed, ORDER, epoch))
            drawn = self.preset.train.drawn(self.log.sessions)  # sessions are in the order of their last click
            self._order = epoch, torch.randperm(drawn, generator=generator) + (self.log.sessions - drawn)
        size = self.preset.train.batch
        return self._order[1][step * size :][:size]

    def comparison(self, done: float) -> Comparison:
        """Return what a step compares with when the share `done` of the training is over."""
        return self._at_end if done >= 1.0 - self.preset.negatives.ending else self._usual

    def draw(self, chosen: Tensor, *, step: int, sampler: Sampler) -> tuple[Batch, Candidates | Tensor]:
        """Return the batch of the sessions `chosen` (S,) at a step of the training, and its candidates.

        A tensor (T, n) where each position has negatives of its own.
        """
        rank = self.team.rank
        if self.feedback is None:
            batch = to_tensors(self._packed(chosen, step), self.device)
        else:
            row = self.preset.train.row
            batch = self.feedback.batch(chosen.numpy(), step=step, rank=rank, row=row, device=self.device)
        targets, sessions = batch.asked()
        seed = seed_of(self.preset.train.seed, NEGATIVES, step, *([rank] if rank else []))
        generator = torch.Generator().manual_seed(seed)
        if self.preset.negatives.each:
            return batch, sampler.draw_each(targets, generator)
        line_seed = seed_of(self.preset.train.seed, LINE, step // SAME_LINE)
        return batch, sampler.draw(targets, sessions, generator, line_seed)

    def _packed(self, chosen: Tensor, step: int) -> PackedBatch:
        encoder, row = self.preset.encoder, self.preset.train.row
        if not encoder.masked:
            from_end = encoder.positions == "end"
            return pack(self.log, chosen.numpy(), window=encoder.window, row=row, from_end=from_end)
        random = np.random.default_rng([self.preset.train.seed, MASKS, step, self.team.rank])
        share = self.preset.loss.mask_share
        return pack_masked(self.log, chosen.numpy(), config=encoder, row=row, share=share, random=random)
