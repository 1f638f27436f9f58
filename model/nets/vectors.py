"""The graph of a coded model: ids of sessions in, their vectors out; what ranks by them stands outside it.

The codes and books are inside as well, as the sessions' own items are looked up there: a few bytes an item. Encoders of
a committee share their codes, so their vectors and books stand side by side within each split, and one sum of partial
scores ranks by the sum of theirs.

Legend: B sessions, L positions, A items moved away from, m splits, H hidden width of all encoders together, W_i width
of encoder i's sub-vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from export.codes.codes import ItemCodes
from export.graph.candidates import moved_away
from model.nets.coded import CodedItems
from model.nets.encoder import Encoder

__all__ = ["VectorModel", "coded_items", "stored"]


class VectorModel(nn.Module):
    """Trained encoders with coded items; always in eval mode."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self.encoders = list(encoders)
        self.members = nn.ModuleList(encoders)  # has their parameters exported
        self.window = encoders[0].config.window
        self.splits = coded_items(encoders[0]).codes.shape[1]
        self.hidden = sum(encoder.config.hidden for encoder in encoders)
        takes = {"kinds": encoders[0].config.typed, "preference": encoders[0].config.preference}
        self.told = tuple(name for name, taken in takes.items() if taken)
        self.inputs = ("ids", "away", "push", *self.told)
        self.outputs = ("vectors",)
        self.eval()

    def forward(self, ids: Tensor, away: Tensor, push: Tensor, *others: Tensor) -> Tensor:
        """Return vectors float32 (B, H), in the order of `stored`; of several encoders such that scores are their mean.

        ids int32 (B, L <= window), right-padded with 0, at least one click each; away int32 (B, A), 0-padded; push
        float32 (); others, those that are taken: kinds int32 (B, L), preference float32 (B,).
        """
        told = dict(zip(self.told, others, strict=True))
        vectors = self._side_by_side([encoder.newest(ids, **told) for encoder in self.encoders])
        rows = self._side_by_side([encoder.items(away) for encoder in self.encoders])
        return moved_away(vectors / len(self.encoders), rows, away, push)

    def _side_by_side(self, parts: list[Tensor]) -> Tensor:
        """Return (..., H) of parts (..., H_i), split by split."""
        if len(parts) == 1:
            return parts[0]
        shape = parts[0].shape[:-1]
        split = [part.reshape(*shape, self.splits, part.shape[-1] // self.splits) for part in parts]
        return torch.cat(split, dim=-1).reshape(*shape, self.hidden)


def coded_items(encoder: Encoder) -> CodedItems:
    """Return the item table of an encoder with codes."""
    assert isinstance(encoder.items, CodedItems), "its items have no codes"
    return encoder.items


def stored(encoders: Sequence[Encoder]) -> ItemCodes:
    """Return the item table that a bundle has beside the graph: the books of all encoders within each split."""
    tables = [coded_items(encoder).stored() for encoder in encoders]
    return ItemCodes(tables[0].codes, np.concatenate([table.books for table in tables], axis=2))
