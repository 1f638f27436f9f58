"""Between clicks laid end to end, which most of an encoder works on, and the rows of sessions that attention compares.

Legend: B sessions, L positions, T clicks of all sessions, W width. Serving pads sessions to one length; what is done to
each click by itself, far more work than attention, then leaves the padding out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Clicks", "Newest"]


class Clicks(NamedTuple):
    """All clicks of all sessions."""

    cells: Tensor  # (T,) int64 place of each click in the rows laid end to end
    places: Tensor  # (B, L) int64 click of each cell; any click where the cell is padding

    @classmethod
    def of(cls, real: Tensor) -> Clicks:
        """Take which cells hold a click, bool (B, L); the first of each row does."""
        order = real.flatten()
        places = order.to(torch.int64).cumsum(0) - 1
        return cls(order.nonzero().squeeze(1), places.reshape(real.shape))

    def in_rows(self, x: Tensor) -> Tensor:
        """Return x (T, W) as rows (B, L, W)."""
        return nn.functional.embedding(self.places, x)

    def out_of_rows(self, x: Tensor) -> Tensor:
        """Return rows (B, L, W) as (T, W)."""
        return x.flatten(0, 1).index_select(0, self.cells)


class Newest(NamedTuple):
    """One click of each session."""

    clicks: Tensor  # (B,) int64 which of T

    def in_rows(self, x: Tensor) -> Tensor:
        """Return x (B, W) as rows (B, 1, W)."""
        return x.unsqueeze(1)

    def out_of_rows(self, x: Tensor) -> Tensor:
        """Return rows (B, 1, W) as (B, W)."""
        return x.squeeze(1)
