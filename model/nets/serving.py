"""The graph that is exported: ids of sessions in, the best items and their scores out.

Legend: B sessions, L positions, E excluded items, K list length, V catalogue, H hidden width of all encoders together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.graph.int8 import Int8TopK
from export.graph.topk import TopK
from model.nets.encoder import Encoder
from model.nets.plain import plain_all

__all__ = ["ServingModel"]


class ServingModel(nn.Module):
    """Trained encoders with the ranking of the whole catalogue behind them; always in eval mode.

    Several encoders rank by the sum of their scores, which orders items as the product of their softmaxes does. That
    sum is one product of what they say, side by side, with their item tables side by side: as fast to rank as one
    encoder of that width.
    """

    def __init__(self, encoders: Sequence[Encoder], *, margin: int | None = None) -> None:
        """Rank exactly, or with a margin as `Int8TopK` does."""
        super().__init__()
        self.encoders = encoders = plain_all(encoders)
        self.members = nn.ModuleList(encoders)  # has their parameters exported
        self.window = encoders[0].config.window
        tables = [encoder.items.weight for encoder in encoders]  # (V + 1, H_i) each
        self.head = _exact(tables) if margin is None else Int8TopK(tables, margin)
        self.eval()

    def forward(self, ids: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return top_ids int32 and top_scores float32, (B, K) each, best first.

        ids int32 (B, L <= window), right-padded with 0, at least one click each; exclude int32 (B, E >= 1), 0-padded;
        k int64 () with 1 <= K <= V.
        """
        hidden = torch.cat([encoder.last(ids) for encoder in self.encoders], dim=1)  # (B, H)
        top_ids, top_scores = self.head(hidden, exclude, k)
        return top_ids, top_scores


def _exact(tables: Sequence[Tensor]) -> TopK:
    return TopK(tables[0] if len(tables) == 1 else torch.cat(list(tables), dim=1).detach())
