"""Items that the model knows, and of which the shop says something else than at its training: their vectors now.

A model's items are compared with the table once, some at a time, and from then on those that change, at once.

V items of the vocabulary, C changed ones, H hidden width.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.items.table import ItemTable
from export.ranking.embedder import Embedder
from export.ranking.known_features import KnownFeatures

__all__ = ["ChangedItems"]

_STEP = 256  # items compared without a pause, in some 3 ms
_PAUSE_S = 0.0005  # in which other threads go on
_AT_ONCE = 1_024  # items embedded


class ChangedItems:
    """The changed items of one model, for one thread."""

    def __init__(
        self,
        bundle: Bundle,
        table: ItemTable,
        embedder: Embedder,
        vectors_of: Callable[[Sequence[int]], NDArray[np.float32]],
    ) -> None:
        """vectors_of: the vectors that the model has of catalogue ids. BundleError `bad_known` for a bundle that does
        not say which features its items had."""
        self._vectors_of = vectors_of
        self._vocabulary, self._table, self._embedder = bundle.vocabulary, table, embedder
        self._known = KnownFeatures(bundle)
        self._seen = (table.revision, table.generation)
        self._rows = table.rows  # at the last look
        self._next = 0  # row of the table up to which all were compared
        self._changed: dict[int, None] = {}  # catalogue ids, the one that changed last at the end
        self._vectors: dict[int, NDArray[np.float32]] = {}  # of those that are served
        self.ids = np.empty(0, dtype=np.int32)  # (C,) catalogue ids, ascending
        self.vectors = np.empty((0, embedder.hidden), np.float32)  # (C, H)

    @property
    def left_out(self) -> int:
        """Changed items that keep their old vectors, as there are too many; those that changed first."""
        return len(self._changed) - len(self.ids)

    @property
    def uncompared(self) -> int:
        """Rows of the table that were not compared yet."""
        return max(0, self._table.rows - self._next)

    def refresh(self, most: int, budget_s: float) -> bool:
        """Take up what changed, and compare more of the others for so long; whether what is served is another.

        most: items that may be served; of more, those that changed last are.
        """
        stale = self._compare(self._news())
        end = time.monotonic() + budget_s
        while self.uncompared and (budget_s == np.inf or time.monotonic() < end):
            names = self._table.ids(self._next, self._next + _STEP)
            self._next += len(names)
            self._compare(names)  # what has a vector already was compared since it changed
            time.sleep(_PAUSE_S)
        return self._serve(most, stale)

    def _news(self) -> Sequence[str]:
        """Return the ids of what changed since the last look."""
        now, rows = (self._table.revision, self._table.generation), self._table.rows
        all_compared = self._next >= self._rows
        if now[1] != self._seen[1]:  # rows have other numbers, or are gone: all are compared again
            self._next, all_compared = 0, False
            gone = [item for item in self._changed if self._vocabulary.items[item - 1] not in self._table]
            for item in gone:
                self._forget(item)
        names = self._table.changed_since(self._seen[0]) if now != self._seen else ()
        self._seen, self._rows = now, rows
        if all_compared:  # rows that came since are among these
            self._next = rows
        return names

    def _compare(self, names: Sequence[str]) -> set[int]:
        """Find out which of the items differ from those of the training; the catalogue ids of these."""
        found = set()
        for start in range(0, len(names), _STEP):
            if start:
                time.sleep(_PAUSE_S)
            for name in names[start : start + _STEP]:
                index = self._vocabulary.index(name)
                item = self._table.get(name) if index else None
                if item is not None and not self._known.are(index, *self._embedder.features.features_of(item)):
                    self._changed.pop(index, None)
                    self._changed[index] = None
                    found.add(index)
                elif index:
                    self._forget(index)
        return found

    def _forget(self, index: int) -> None:
        self._changed.pop(index, None)
        self._vectors.pop(index, None)

    def _serve(self, most: int, stale: set[int]) -> bool:
        """Embed what is missing; whether anything is another than before."""
        before = self.ids, self.vectors
        served = set(islice(reversed(self._changed), most))
        missing = [item for item in served if item in stale or item not in self._vectors]
        for part in _parts(missing):
            self._embed(part)
        self._vectors = {item: self._vectors[item] for item in self._changed if item in served}
        if not stale and not missing and len(self._vectors) == len(before[0]):
            return False
        self.ids = np.array(sorted(self._vectors), dtype=np.int32)
        rows = [self._vectors[item] for item in self.ids.tolist()]
        self.vectors = np.stack(rows) if rows else np.empty((0, self._embedder.hidden), np.float32)
        return not (np.array_equal(self.ids, before[0]) and np.array_equal(self.vectors, before[1]))

    def _embed(self, changed: Sequence[int]) -> None:
        items = [(index, self._table.get(self._vocabulary.items[index - 1])) for index in changed]
        for index, item in items:
            if item is None:  # it went since; the next look hears of that
                self._forget(index)
        there = [(index, item) for index, item in items if item is not None]
        if not there:
            return
        now = self._embedder.embed_rows([self._embedder.features.encode([item for _, item in there])])
        then = self._embedder.embed_rows([self._known.of([index for index, _ in there])])
        had = self._vectors_of([index for index, _ in there])
        self._vectors.update(zip((index for index, _ in there), had - then + now, strict=True))


def _parts(items: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
