"""The graph that is exported: ids of sessions in, the best items and their scores out.

Legend: B sessions, L positions, E excluded items, K list length, H hidden width.
"""

from __future__ import annotations

from torch import Tensor, nn

from export.topk import TopK
from model.encoder import Encoder


class ServingModel(nn.Module):
    """A trained encoder with the ranking of the whole catalogue behind it; always in eval mode."""

    def __init__(self, encoder: Encoder, k_max: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.window = encoder.config.window
        self.head = TopK(encoder.items.weight, k_max)
        self.eval()

    def forward(self, ids: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return top_ids int32 and top_scores float32, (B, K) each, best first.

        ids int32 (B, L <= window), right-padded with 0, at least one click each; exclude int32 (B, E >= 1), 0-padded.
        """
        top_ids, top_scores = self.head(self.encoder.last(ids), exclude)
        return top_ids, top_scores
