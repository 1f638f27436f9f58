"""The head of a graph whose sessions are several vectors: an item's score is that of the interest it suits best.

The union of the interests' own lists, ranked by that score, is the best of all items by it: so that is what is ranked,
exactly, over the whole catalogue.

B sessions, I interests, H hidden, V catalogue without padding, E exclusions a session, K asked for, C candidates.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.candidates import moved_away
from export.graph.int8 import Int8TopK
from export.graph.topk import best_allowed, list_length

__all__ = ["Int8InterestTopK", "InterestTopK", "all_moved_away", "best_scores_of"]


class InterestTopK(nn.Module):
    """Rank the whole catalogue by the best of a session's interests, and say which that was."""

    def __init__(self, table: Tensor) -> None:
        """Take the item table (V + 1, H), a parameter, whose row 0 is padding. ConfigError for an empty catalogue."""
        super().__init__()
        if table.shape[0] < PAD + 2:
            raise ConfigError("the catalogue has no items")
        self.item_table = table

    def forward(self, vectors: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return catalogue ids int32, scores float32 and interests int32, (B, K) each, best first.

        vectors (B, I, H) float32; the rest as `TopK.forward` takes it. An interest is 0 where no item is left.
        """
        scores = (vectors @ self.item_table[PAD + 1 :].T).amax(dim=1)  # (B, I, H) x (H, V) -> (B, V)
        length = list_length(k, scores.shape[1])
        enough = torch.sym_min(exclude.shape[1] + length, scores.shape[1])  # type: ignore[no-untyped-call]
        candidate_scores, places = torch.topk(scores, enough, dim=1)  # (B, C) both
        top_ids, top_scores = best_allowed((places + PAD + 1).to(torch.int32), candidate_scores, exclude, length)
        return top_ids, top_scores, _whose(vectors, top_ids, self.item_table)


class Int8InterestTopK(Int8TopK):
    """The same, chosen by integer scores as `Int8TopK` does: each interest is rounded by itself, then made its size."""

    def __init__(self, table: Tensor, margin: int) -> None:
        """Take the item table (V + 1, H), a parameter, and how many candidates more than exact scores would need."""
        super().__init__([table], margin)

    def forward(self, vectors: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Return what `InterestTopK.forward` does."""
        top_ids, top_scores = super().forward(vectors, exclude, k)
        return top_ids, top_scores, _whose(vectors, top_ids, self.exact[0])

    def _rounded_scores(self, vectors: Tensor) -> Tensor:
        """Return (B, V): the best of each session's interests."""
        each = (
            super()._rounded_scores(vectors.flatten(0, 1)).view(-1, vectors.shape[1], self.table.shape[1])
        )  # (B, I, V)
        return torch.as_tensor((each * vectors.abs().amax(dim=2, keepdim=True)).amax(dim=1))

    def _exact_scores(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Return (B, C) of ids (B, C)."""
        rows = functional.embedding(ids, self.exact[0])  # (B, C, H)
        return (vectors @ rows.transpose(1, 2)).amax(dim=1)


def _whose(vectors: Tensor, top_ids: Tensor, table: Tensor) -> Tensor:
    """Return the interest int32 (B, K) that scores each item best."""
    rows = functional.embedding(top_ids, table)  # (B, K, H)
    return (vectors @ rows.transpose(1, 2)).argmax(dim=1).to(torch.int32)


def best_scores_of(vectors: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
    """Return float32 scores (B, C) of candidates by vectors (B, I, H), as `scores_of` does for (B, H)."""
    scores = (vectors @ rows.T).amax(dim=1)  # (B, C)
    return scores.masked_fill((ids == PAD).unsqueeze(0), -torch.inf)


def all_moved_away(vectors: Tensor, rows: Tensor, ids: Tensor, push: Tensor) -> Tensor:
    """Return vectors (B, I, H), each of them moved away from what a session dislikes, as `moved_away` does."""
    count = vectors.shape[1]
    each = rows.repeat_interleave(count, dim=0), ids.repeat_interleave(count, dim=0)
    return moved_away(vectors.flatten(0, 1), each[0], each[1], push).view(vectors.shape)
