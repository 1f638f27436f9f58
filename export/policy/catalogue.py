"""The items that lists are made of: those of the model, and newer ones that its tower gives a vector.

V items of the model, X newer ones with the ids V + 1 to V + X, H hidden width.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.vocabulary import PAD, Vocabulary
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.ranking.fresh_items import FreshItems

__all__ = ["Catalogue", "Extended", "Newcomers"]


class Extended(Vocabulary):
    """A vocabulary with more items behind its own, which it shares."""

    __slots__ = ("_more",)

    def __init__(self, base: Vocabulary, more: Sequence[str]) -> None:
        self.items = (*base.items, *more)
        self._index = base._index
        self._more = {item: len(base) + PAD + 1 + place for place, item in enumerate(more)}

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._index or item_id in self._more

    def index(self, item_id: str) -> int:
        """Return the id of a shop id, 0 (`PAD`) where there is none."""
        return self._index.get(item_id) or self._more.get(item_id, PAD)

    def encode(self, item_ids: Iterable[str]) -> list[int]:
        """Return the ids of `item_ids` in their order, unknown ones left out."""
        return [index for item in item_ids if (index := self.index(item))]

    def look_up(self, item_ids: Iterable[str], count: int) -> NDArray[np.int32]:
        """Return the ids of `count` shop ids, 0 (`PAD`) for those that are not known."""
        return np.fromiter(map(self.index, item_ids), dtype=np.int32, count=count)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What one model's lists are made of at one time."""

    vocabulary: Vocabulary
    view: CatalogueView | None = None  # of the vocabulary's items; None: nothing is said of them
    fresh: NDArray[np.float32] | None = None  # (X, H) vectors of the items behind the model's; None: there are none

    @property
    def newer(self) -> NDArray[np.int32]:
        """The ids of the X newer items, ascending."""
        count, size = 0 if self.fresh is None else len(self.fresh), len(self.vocabulary)
        return np.arange(size - count + 1, size + 1, dtype=np.int32)

    @classmethod
    def of(cls, bundle: Bundle, table: ItemTable | None) -> "Catalogue":
        """Return the model's own items."""
        return cls(bundle.vocabulary, None if table is None else CatalogueView(table, bundle.vocabulary))


class Newcomers:
    """Finds items that the table has and a model lacks, for a thread that is not the one that makes lists."""

    def __init__(self, bundle: Bundle, table: ItemTable) -> None:
        """BundleError `bad_model` for a bundle without a tower."""
        self._bundle, self._table = bundle, table
        self._view = CatalogueView(table, bundle.vocabulary)
        self.items = FreshItems(bundle, self._view)
        self._told = False

    def look(self) -> Catalogue | None:
        """Return the catalogue with the newer items there are now; None where it would be the one returned before."""
        self._view.refresh()
        changed = self.items.refresh()
        if self._told and not changed:
            return None
        if not self._told and not self.items.item_ids:
            return None
        self._told = True
        if not self.items.item_ids:
            return Catalogue.of(self._bundle, self._table)
        vocabulary = Extended(self._bundle.vocabulary, self.items.item_ids)
        return Catalogue(vocabulary, CatalogueView(self._table, vocabulary), self.items.vectors)
