"""The items that lists are made of: those of the model, some with vectors that are newer than it, and newer items.

V items of the model, newer ones with the ids from V + 1 on, X vectors that the model lacks, H hidden width.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.vocabulary import PAD, Vocabulary
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.ranking.changed_items import ChangedItems
from export.ranking.embedder import Embedder
from export.ranking.fresh_items import FreshItems

__all__ = ["MOST_EMBEDDED", "Catalogue", "Embedded", "Extended", "Fresh", "Newcomers"]

MOST_EMBEDDED = 20_000  # newer and changed items; each of them takes a little of every ranking


class Extended(Vocabulary):
    """A vocabulary with more items behind its own, which it shares."""

    __slots__ = ("_more",)

    def __init__(self, base: Vocabulary, more: Sequence[str]) -> None:
        whole = isinstance(base.items, tuple)  # else millions, kept as bytes
        self.items = (*base.items, *more) if whole else _Joined(base.items, tuple(more))
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


class _Joined(Sequence[str]):
    """Strings that are kept, and some more behind them."""

    __slots__ = ("_base", "_more")

    def __init__(self, base: Sequence[str], more: tuple[str, ...]) -> None:
        self._base, self._more = base, more

    def __len__(self) -> int:
        return len(self._base) + len(self._more)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError(f"there are {len(self)} strings, and none at {place}")
        behind = place % len(self) - len(self._base)
        return self._base[behind + len(self._base)] if behind < 0 else self._more[behind]

    def __iter__(self) -> Iterator[str]:
        return chain(self._base, self._more)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Joined) and (self._base, self._more) == (other._base, other._more)

    def __hash__(self) -> int:
        return hash((self._base, self._more))


class Fresh(NamedTuple):
    """X vectors that the model lacks, in the order of the graph's ids V + 1 to V + X."""

    vectors: NDArray[np.float32]  # (X, H)
    ids: NDArray[np.int32]  # (X,) the catalogue id that has the vector
    ports: NDArray[np.int32]  # (V + newer + 1,) by which id the graph knows each catalogue id


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What one model's lists are made of at one time."""

    vocabulary: Vocabulary
    view: CatalogueView | None = None  # of the vocabulary's items; None: nothing is said of them
    fresh: Fresh | None = None  # None: all is as the model has it
    newer: int = 0  # items behind the model's

    @classmethod
    def of(cls, bundle: Bundle, table: ItemTable | None) -> "Catalogue":
        """Return the model's own items."""
        return cls(bundle.vocabulary, None if table is None else CatalogueView(table, bundle.vocabulary))


class Embedded(NamedTuple):
    """How many items there are that a model lacks the vectors of."""

    newer: int = 0  # than the model, and in its lists
    blank: int = 0  # newer ones of which nothing is known: they can be in no list
    left_out: int = 0  # newer ones that are in no list, as there are too many
    changed: int = 0  # since the training, and ranked by what is said of them now
    kept: int = 0  # changed ones that are ranked by what was said then, as there are too many
    uncompared: int = 0  # items of which it is not known yet whether they changed


class Newcomers:
    """Finds items that the table has and a model lacks, and those that changed since the model was trained, for a
    thread that is not the one that makes lists."""

    def __init__(
        self,
        bundle: Bundle,
        table: ItemTable,
        catalogue: Catalogue | None = None,
        *,
        most: int = MOST_EMBEDDED,
        vectors_of: Callable[[Sequence[int]], NDArray[np.float32]] | None = None,
    ) -> None:
        """catalogue: the model's own items, where they are there already. most: items of both kinds, newer ones first.
        vectors_of: the vectors that the model has of catalogue ids; None: changed items are not looked for. BundleError
        `bad_model` for a bundle without a tower."""
        self._bundle, self._table, self._most = bundle, table, most
        self._own = catalogue or Catalogue.of(bundle, table)
        self._view = CatalogueView(table, bundle.vocabulary)
        embedder = Embedder(bundle)
        self.items = FreshItems(bundle, self._view, most=most, embedder=embedder)
        self.changed: ChangedItems | None = None
        if vectors_of is not None and bundle.known_path is not None:
            self.changed = ChangedItems(bundle, table, embedder, vectors_of)
        self._given: Catalogue | None = None  # None: the model's own
        self._size = len(bundle.vocabulary)  # V

    @property
    def found(self) -> Embedded:
        """What was found at the last look."""
        items, changed = self.items, self.changed
        newer = Embedded(len(items.item_ids), items.blank, items.left_out)
        if changed is None:
            return newer
        return newer._replace(changed=len(changed.ids), kept=changed.left_out, uncompared=changed.uncompared)

    def look(self, budget_s: float = inf) -> Catalogue | None:
        """Return the catalogue as it is now; None where it would be the one returned before. budget_s: how long items
        are compared that did not change lately."""
        self._view.refresh()
        another = self.items.refresh()
        room = self._most - len(self.items.item_ids)
        if self.changed is not None:
            another |= self.changed.refresh(room, budget_s)
        changed = 0 if self.changed is None else len(self.changed.ids)
        if self._given is None and not self.items.item_ids and not changed:
            return None
        if self._given is not None and not another:
            return None
        self._given = self._catalogue()
        return self._given

    def _catalogue(self) -> Catalogue:
        names = tuple(self.items.item_ids)
        before = self._given or self._own
        if not names:
            before = self._own
        elif tuple(before.vocabulary.items[self._size :]) != names:
            vocabulary = Extended(self._bundle.vocabulary, names)
            before = Catalogue(vocabulary, CatalogueView(self._table, vocabulary), newer=len(names))
        return replace(before, fresh=self._fresh(len(names)))

    def _fresh(self, newer: int) -> Fresh | None:
        ids, vectors = [np.arange(self._size + 1, self._size + newer + 1, dtype=np.int32)], [self.items.vectors[:newer]]
        if self.changed is not None:
            ids.append(self.changed.ids)
            vectors.append(self.changed.vectors)
        joined = np.concatenate(ids)
        if not len(joined):
            return None
        ports = np.arange(self._size + newer + 1, dtype=np.int32)
        ports[joined] = np.arange(self._size + 1, self._size + len(joined) + 1)
        return Fresh(np.concatenate(vectors), joined, ports)
