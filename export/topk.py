"""The head of every exported graph: from a session's vector to its list, exclusions honoured inside.

B sessions, H hidden, V catalogue without padding, E exclusions a session, K returned (`k_max`), C candidates.

Excluding takes no scatter on the (B, V) scores: of the best C = min(K + E, V) at most E are excluded, so the best K of
the rest are exactly the list. Plain TopK it is: choosing among the maxima of groups first, which is exact as well, was
as fast or slower in ONNX Runtime 1.31 (two cores, B=256, V=26,000, H=200, K=50, E=50: product and plain TopK 16.1 ms,
best grouped 17.2 ms; E=1: 13.6 against 14.3 ms), since its TopK already skips what can't enter the heap.
"""

import torch
from torch import Tensor, nn

from export.errors import ConfigError
from export.vocabulary import PAD

__all__ = ["DEFAULT_K_MAX", "TopK"]

DEFAULT_K_MAX = 50  # list length a graph is exported for; a smaller catalogue gives its size


class TopK(nn.Module):
    """Rank the whole catalogue by the product of a session's vector with every row of the item table."""

    item_table: Tensor

    def __init__(self, item_table: Tensor, k_max: int) -> None:
        """Take the item table (V + 1, H), whose row 0 is padding and never ranked, and the list length 1..V.

        A parameter is shared, not copied: the graph holds a tied table once. ConfigError when `k_max` doesn't fit.
        """
        super().__init__()
        if not 1 <= k_max <= item_table.shape[0] - 1:
            raise ConfigError(f"k_max is {k_max}, the catalogue has {item_table.shape[0] - 1} items")
        self.k_max = k_max
        if isinstance(item_table, nn.Parameter):
            self.item_table = item_table
        else:
            self.register_buffer("item_table", item_table)

    def forward(self, hidden: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return catalogue ids int32 (B, K), best first, and their scores float32 (B, K).

        hidden (B, H) float32; exclude (B, E >= 1) int32 catalogue ids, padded with 0. Where fewer than K items are
        left, the list ends in id 0 with score -inf.
        """
        scores = hidden @ self.item_table[PAD + 1 :].T  # (B, H) x (H, V) -> (B, V)
        enough = torch.sym_min(exclude.shape[1] + self.k_max, scores.shape[1])  # type: ignore[no-untyped-call]
        candidate_scores, places = torch.topk(scores, enough, dim=1)  # (B, C) both
        candidate_ids = (places + PAD + 1).to(torch.int32)
        excluded = (candidate_ids[:, :, None] == exclude[:, None, :]).any(dim=2)  # (B, C, E) -> (B, C)
        allowed = candidate_scores.masked_fill(excluded, -torch.inf)
        top_scores, chosen = torch.topk(allowed, self.k_max, dim=1)  # (B, C) -> (B, K)
        top_ids = torch.gather(candidate_ids, 1, chosen)  # (B, K)
        return top_ids.masked_fill(top_scores == -torch.inf, PAD), top_scores
