"""Between clicks laid end to end, which most of an encoder works on, and the rows of sessions that attention compares.

Legend: B sessions, L positions, T clicks of all sessions, W width. Serving pads sessions to one length; what is done to
each click by itself, far more work than attention, then leaves the padding out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Clicks", "Newest", "WithFresh"]


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


class WithFresh(NamedTuple):
    """An item table, and rows that it lacks behind it; neither is copied."""

    items: Tensor  # (V + 1, H)
    fresh: Tensor  # (X, H) of the ids V + 1 to V + X; at least one row

    def rows(self, ids: Tensor) -> Tensor:
        """Return the vectors (..., H) of ids (...)."""
        known = self.items.shape[0] - 1  # V
        newer = nn.functional.embedding((ids - known - 1).clamp(min=0), self.fresh)
        return torch.where(
            (ids > known).unsqueeze(-1), newer, nn.functional.embedding(ids.clamp(max=known), self.items)
        )


class Newest(NamedTuple):
    """One click of each session."""

    clicks: Tensor  # (B,) int64 which of T

    def in_rows(self, x: Tensor) -> Tensor:
        """Return x (B, W) as rows (B, 1, W)."""
        return x.unsqueeze(1)

    def out_of_rows(self, x: Tensor) -> Tensor:
        """Return rows (B, 1, W) as (B, W)."""
        return x.squeeze(1)
