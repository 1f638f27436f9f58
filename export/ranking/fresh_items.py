"""Items newer than the model: what the table has and the vocabulary lacks, with the vectors of their attributes.

V items of the vocabulary, X fresh items, H hidden width. A fresh item has the id V + 1 + its row of `vectors`, which is
what the graph's input `fresh` is: it can be clicked, disliked, and asked for by `also`, without a new model.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.items.item import Item
from export.items.view import CatalogueView
from export.ranking.embedder import Embedder

__all__ = ["FreshItems"]


class FreshItems:
    """The fresh items of one model, for the thread of its view. Ids are valid until the next `refresh`."""

    def __init__(
        self, bundle: Bundle, view: CatalogueView, *, most: int = 20_000, embedder: Embedder | None = None
    ) -> None:
        """Embed what the view has; of more than `most`, those the table had first stay out, and the next model has
        them. BundleError `bad_model` for a bundle without a tower."""
        self._embedder, self._view, self._most = embedder or Embedder(bundle), view, most
        self._vectors: dict[str, NDArray[np.float32]] = {}  # of each fresh item that has a feature
        self._seen = (-1, -1)  # revision and generation of the table
        self._every: Sequence[str] = ()  # fresh items of the view, in its order
        self._names: frozenset[str] = frozenset()  # those of them that may have a vector
        self.item_ids: Sequence[str] = ()  # (X,) shop ids
        self.ids: Mapping[str, int] = {}  # shop id -> V + 1 to V + X
        self.vectors = np.zeros((1, self._embedder.hidden), np.float32)  # (X, H); one row of zeros where X is 0
        self.left_out = 0  # fresh items beyond the most there may be
        self.blank = 0  # fresh items of which nothing is known but their id: they have no vector
        self.refresh()

    def refresh(self) -> bool:
        """Take up what the view has taken up since the last time, and embed that alone; whether anything changed."""
        table = self._view.table
        now = self._view.revision, table.generation
        if now == self._seen:
            return False
        changed = set(table.changed_since(self._seen[0])) if now[1] == self._seen[1] else None  # None: all
        every = self._view.fresh
        self._seen = now
        if changed is not None and every == self._every and changed.isdisjoint(self._names):
            return False
        self._every, self.left_out = every, max(0, len(every) - self._most)
        fresh = every[self.left_out :]
        self._names = frozenset(fresh)
        known = {} if changed is None else {name: self._vectors.get(name) for name in fresh if name not in changed}
        missing = [item for name in fresh if known.get(name) is None and (item := table.get(name)) is not None]
        found = self._embed(missing)
        self._vectors = {name: vector for name in fresh if (vector := _either(known, found, name)) is not None}
        self.blank = len(fresh) - len(self._vectors)
        return self._number()

    def _embed(self, items: Sequence[Item]) -> dict[str, NDArray[np.float32]]:
        some = [item for item in items if item.price is not None or any(item.attributes.values())]
        return dict(zip((item.item_id for item in some), self._embedder.embed(some), strict=True))

    def _number(self) -> bool:
        """Give out the ids, and return whether they or a vector differ from before."""
        first = len(self._view.vocabulary) + 1
        names = tuple(self._vectors)
        vectors = np.stack(list(self._vectors.values())) if names else np.zeros_like(self.vectors[:1])
        same = names == tuple(self.item_ids) and np.array_equal(vectors, self.vectors)
        self.item_ids, self.vectors = names, vectors
        self.ids = dict(zip(names, range(first, first + len(names)), strict=True))
        return not same


def _either(
    known: Mapping[str, NDArray[np.float32] | None], found: Mapping[str, NDArray[np.float32]], name: str
) -> NDArray[np.float32] | None:
    vector = found.get(name)
    return known.get(name) if vector is None else vector
