"""The head of every exported graph: from a session's vector to its list, exclusions honoured inside.

B sessions, H hidden, V catalogue without padding, E exclusions a session, K asked for, C candidates.

Excluding takes no scatter on the (B, V) scores: of the best C = min(K + E, V) at most E are excluded, so the best K of
the rest are exactly the list. Plain TopK it is: choosing among the maxima of groups first, which is exact as well,
gains too little in ONNX Runtime 1.31 (one core, B=256, V=26,000, H=200, K=20, E=1, int8 scores: 14.5 ms with plain
TopK, 14.0 with the best group size), as most of its time goes into replacing what the heap holds, just as often.
"""

import torch
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.after import Changes

__all__ = ["DEFAULT_K_MAX", "TopK", "best_allowed", "list_length"]

DEFAULT_K_MAX = 50  # longest list a graph is checked for; a smaller catalogue gives its size


class TopK(nn.Module):
    """Rank the whole catalogue by the product of a session's vector with every row of the item table."""

    item_table: Tensor

    def __init__(self, item_table: Tensor) -> None:
        """Take the item table (V + 1, H), whose row 0 is padding and never ranked.

        A parameter is shared, not copied: the graph holds a tied table once. ConfigError for an empty catalogue.
        """
        super().__init__()
        if item_table.shape[0] < PAD + 2:
            raise ConfigError("the catalogue has no items")
        if isinstance(item_table, nn.Parameter):
            self.item_table = item_table
        else:
            self.register_buffer("item_table", item_table)

    def forward(self, hidden: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return catalogue ids int32 (B, K), best first, and their scores float32 (B, K).

        hidden (B, H) float32; exclude (B, E >= 1) int32 catalogue ids, padded with 0; k int64 (), which is 1 <= K <= V.
        Where fewer than K items are left, the list ends in id 0 with score -inf.
        """
        return self._best(self._scores(hidden), exclude, k)

    def after(self, hidden: Tensor, exclude: Tensor, k: Tensor, changes: Changes) -> tuple[Tensor, Tensor, Tensor]:
        """Return the same of scores that change afterwards, and (B, 1) the norm that they were mixed by."""
        scores = self._scores(hidden)
        norm = changes.norm(scores)
        return (*self._best(changes.onto(scores, norm), exclude, k), norm)

    def _scores(self, hidden: Tensor) -> Tensor:
        return hidden @ self.item_table[PAD + 1 :].T  # (B, H) x (H, V) -> (B, V)

    def _best(self, scores: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        length = list_length(k, scores.shape[1])
        enough = torch.sym_min(exclude.shape[1] + length, scores.shape[1])  # type: ignore[no-untyped-call]
        candidate_scores, places = torch.topk(scores, enough, dim=1)  # (B, C) both
        return best_allowed((places + PAD + 1).to(torch.int32), candidate_scores, exclude, length)


def list_length(k: Tensor, items: int) -> int:
    """Return K as the number it is, which the exporter keeps dynamic; `items` is V."""
    length: int = k.item()  # type: ignore[assignment]  # a symbol while exporting
    torch._check(length >= 1)  # type: ignore[no-untyped-call]
    torch._check(length <= items)  # type: ignore[no-untyped-call]
    return length


def best_allowed(ids: Tensor, scores: Tensor, exclude: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return the best K of candidates, ids int32 and scores float32 (B, C), none of which is excluded (B, E)."""
    excluded = (ids[:, :, None] == exclude[:, None, :]).any(dim=2)  # (B, C, E) -> (B, C)
    allowed = scores.masked_fill(excluded, -torch.inf)
    top_scores, chosen = torch.topk(allowed, length, dim=1)  # (B, C) -> (B, K)
    top_ids = torch.gather(ids, 1, chosen)  # (B, K)
    return top_ids.masked_fill(top_scores == -torch.inf, PAD), top_scores
