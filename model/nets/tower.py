"""The item tower: an item's vector is the row of its id, and what its attributes add to it.

    e = id row + x + W2 relu(W1 x),   x = sum of the rows of its features, each weighted

The rows of features begin at 0 and nothing has a bias, so an item of which nothing is known has the row of its id, and
a training without items is the same training as before. In each step a share of the items go without their id row, a
learned vector in its place: their attributes must carry them then, as they carry an item that nobody has clicked yet.

Legend: U items asked for, V catalogue ids (row 0: padding), F features of the items asked for, H hidden width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from export.items.features import FeatureRows, FeatureVocabulary
from model.nets.config import TowerConfig

__all__ = ["FeatureTower", "ItemTower", "vectors_of_step"]

_AT_ONCE = 1 << 16  # items whose vectors are computed at once where all are


class FeatureTower(nn.Module):
    """From features alone to a vector: what serves an item without an id row. It is exported as a graph of its own."""

    def __init__(self, size: int, hidden: int, inner: int) -> None:
        """`size` codes, padding among them."""
        super().__init__()
        self.values = nn.Embedding(size, hidden, padding_idx=PAD)
        self.widen = nn.Linear(hidden, inner, bias=False)
        self.narrow = nn.Linear(inner, hidden, bias=False)
        self.newcomer = nn.Parameter(torch.zeros(hidden))  # in place of an id row
        nn.init.zeros_(self.values.weight)
        nn.init.xavier_uniform_(self.widen.weight)
        nn.init.xavier_uniform_(self.narrow.weight)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights by the names that `export.graph.tower` has for them."""
        weights = {"values": self.values.weight, "widen": self.widen.weight, "narrow": self.narrow.weight}
        found = {name: weight.detach().cpu().numpy() for name, weight in weights.items()}
        return {**found, "newcomer": self.newcomer.detach().cpu().numpy()}

    def added(self, x: Tensor) -> Tensor:
        """Return what is added to an id row, (U, H), for summed features (U, H)."""
        return torch.as_tensor(x + self.narrow(torch.relu(self.widen(x))))

    def forward(self, codes: Tensor, weights: Tensor) -> Tensor:
        """Return vectors (U, H) of items without an id row; codes int32 and weights float32 (U, A), 0-padded."""
        x = (self.values(codes) * weights.unsqueeze(2)).sum(dim=1)  # (U, A, H) -> (U, H)
        return self.newcomer + self.added(x)


class ItemTower(nn.Module):
    """The tower of one encoder, with the features of the catalogue it is trained on."""

    offsets: Tensor
    codes: Tensor
    weights: Tensor

    def __init__(self, config: TowerConfig, hidden: int, vocabulary: FeatureVocabulary, rows: FeatureRows) -> None:
        """`rows` has V + 1 items, the first of them padding, which has no features."""
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.features = FeatureTower(vocabulary.size, hidden, config.inner)
        for name in ("offsets", "codes", "weights"):  # not learned: they come with the items, not with the weights
            self.register_buffer(name, torch.from_numpy(getattr(rows, name).copy()), persistent=False)

    def forward(self, rows: Tensor, ids: Tensor | None = None, kept: Tensor | None = None) -> Tensor:
        """Return vectors (U, H) for the id rows (U, H) of ids (U,), of all V + 1 for None.

        kept (U,) bool: items whose id row counts; None: all of them.
        """
        if kept is not None:
            rows = torch.where(kept.unsqueeze(1), rows, self.features.newcomer)
        return rows + self.features.added(self._summed(ids))

    def keep(self, count: int, seed: int) -> Tensor | None:
        """Draw the items (count,) whose id row counts in a step, the first, padding, always; None: all of them."""
        if not self.config.id_dropout:
            return None
        drawn = torch.rand(count, generator=torch.Generator().manual_seed(seed)) >= self.config.id_dropout
        drawn[PAD] = True
        return drawn.to(self.offsets.device)

    @torch.no_grad()
    def table(self, rows: Tensor) -> Tensor:
        """Return the vectors (V + 1, H) of the whole catalogue, a part at a time, for all id rows (V + 1, H)."""
        ids = torch.arange(rows.shape[0], device=rows.device)
        return torch.cat([self(rows[part], part) for part in torch.split(ids, _AT_ONCE)])

    def _summed(self, ids: Tensor | None) -> Tensor:
        """Return the weighted sums (U, H) of the feature rows of ids (U,)."""
        if ids is None:
            codes, weights, starts = self.codes, self.weights, self.offsets[:-1]
        else:
            first, counts = self.offsets[ids], self.offsets[ids + 1] - self.offsets[ids]
            starts = counts.cumsum(0) - counts  # (U,)
            places = torch.repeat_interleave(first - starts, counts)
            places += torch.arange(len(places), device=places.device)  # (F,)
            codes, weights = self.codes[places], self.weights[places]
        return nn.functional.embedding_bag(
            codes, self.features.values.weight, starts, mode="sum", per_sample_weights=weights
        )


def vectors_of_step(tower: ItemTower | None, rows: Tensor, ids: Tensor | None, seed: int) -> Tensor:
    """Return what a training step sees of items `ids` (U,), of all for None, whose id rows are (U, H)."""
    return rows if tower is None else torch.as_tensor(tower(rows, ids, tower.keep(len(rows), seed)))
