"""The encoder without layers: a click's state is the vector of its item. ComiRec-SA pools these.

Legend: B sessions, L positions, T positions read out, H hidden width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.learn.batches.batch import Batch
from model.nets.config import EncoderConfig
from model.nets.encoder import Encoder
from model.nets.rows import WithFresh

__all__ = ["Clicked"]


class Clicked(Encoder):
    """Items in, their own vectors out; what makes a session of them are its interests."""

    def __init__(self, config: EncoderConfig, catalogue: int) -> None:
        super().__init__(config, catalogue)
        self.initialise()

    def forward(self, batch: Batch, table: Tensor | WithFresh | None = None) -> Tensor:
        """Return the item vectors (T, H)."""
        rows = self.input_dropout(self.look_up(batch.ids, table))
        return torch.as_tensor(rows.flatten(0, 1).index_select(0, batch.cells))

    def last(
        self,
        ids: Tensor,
        table: Tensor | WithFresh | None = None,
        *,
        kinds: Tensor | None = None,
        preference: Tensor | None = None,
    ) -> Tensor:
        """Return the vector (B, H) of each session's newest click; ids (B, L <= window), right-padded with 0."""
        rows = torch.arange(ids.shape[0], device=ids.device)
        return self.states(ids, table)[rows, self._newest(ids)]

    def states(self, ids: Tensor, table: Tensor | WithFresh | None = None) -> Tensor:
        """Return the item vectors (B, L, H)."""
        return self.look_up(ids, table)

    def look_up(self, ids: Tensor, table: Tensor | WithFresh | None) -> Tensor:
        """Return the item vectors (..., H) as they are: they meet no norm."""
        return super().look_up(ids, table) / math.sqrt(self.config.hidden)
