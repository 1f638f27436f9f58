"""The graph that is exported: ids of sessions in, the best items and their scores out.

Legend: B sessions, L positions, E excluded items, C candidates, A items moved away from, K list length, V catalogue,
H hidden width of all encoders together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.graph.candidates import moved_away, scores_of
from export.graph.int8 import Int8TopK
from export.graph.topk import TopK
from model.nets.encoder import Encoder

__all__ = ["ServingModel"]


class ServingModel(nn.Module):
    """Trained encoders with the ranking of the whole catalogue behind them; always in eval mode.

    Several encoders rank by the sum of their scores, which orders items as the product of their softmaxes does. That
    sum is one product of what they say, side by side, with their item tables side by side: as fast to rank as one
    encoder of that width.
    """

    inputs: tuple[str, ...] = ("ids", "exclude", "k", "also", "away", "push")
    outputs = ("top_ids", "top_scores", "also_scores")

    def __init__(self, encoders: Sequence[Encoder], *, margin: int | None = None) -> None:
        """Rank exactly, or with a margin as `Int8TopK` does."""
        super().__init__()
        self.encoders = encoders
        self.members = nn.ModuleList(encoders)  # has their parameters exported
        self.window = encoders[0].config.window
        told = encoders[0].config
        self.told = tuple(name for name, is_told in (("kinds", told.typed), ("preference", told.preference)) if is_told)
        self.inputs = (*type(self).inputs, *self.told)
        tables = [encoder.items.weight for encoder in encoders]  # (V + 1, H_i) each
        self.head = _exact(tables) if margin is None else Int8TopK(tables, margin)
        self.eval()

    def forward(
        self,
        ids: Tensor,
        exclude: Tensor,
        k: Tensor,
        also: Tensor,
        away: Tensor,
        push: Tensor,
        told: Tensor | None = None,
        told_too: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return top_ids int32 and top_scores float32, (B, K) each, best first, and also_scores float32 (B, C).

        ids int32 (B, L <= window), right-padded with 0, at least one click each; exclude int32 (B, E >= 1), 0-padded;
        k int64 () with 1 <= K <= V; also int32 (C,) and away int32 (B, A), 0-padded; push float32 ().
        told, told_too: kinds int32 (B, L) and preference float32 (B,), those of them that the encoders are told.
        """
        hidden = moved_away(self._hidden(ids, told, told_too), self._rows(away), away, push)
        top_ids, top_scores = self.head(hidden, exclude, k)
        return top_ids, top_scores, scores_of(hidden, self._rows(also), also)

    def lists(self, ids: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lists alone, of sessions that dislike nothing."""
        top_ids, top_scores = self.head(self._hidden(ids), exclude, k)
        return top_ids, top_scores

    def _hidden(self, ids: Tensor, *told: Tensor | None) -> Tensor:
        given = dict(zip(self.told, told, strict=False))
        return torch.cat([encoder.last(ids, **given) for encoder in self.encoders], dim=1)  # (B, H)

    def _rows(self, ids: Tensor) -> Tensor:
        """Return the item vectors (..., H) of ids (...), as they score."""
        return torch.cat([functional.embedding(ids, encoder.items.weight) for encoder in self.encoders], dim=-1)


def _exact(tables: Sequence[Tensor]) -> TopK:
    return TopK(tables[0] if len(tables) == 1 else torch.cat(list(tables), dim=1).detach())
