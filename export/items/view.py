"""The table of items seen by one model: by catalogue id, as arrays.

V items of the model, catalogue ids 1..V, row 0 padding; R rows of the table. `refresh` takes up what changed since the
last one, at a cost that grows with the changes, and not with the catalogue. It and all else are for one thread, the one
that ranks; the table may be written meanwhile. The arrays are read-only, and change where they are with a refresh.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.items.attribute import AttributeColumn, Csr
from export.items.table import Changes, ItemTable

__all__ = ["CatalogueView", "Csr"]

_STEP = 4_096  # ids looked up without a pause, in about a millisecond
_PAUSE_S = 0.0002  # long enough for a waiting thread to go on
_FEW = 2_048  # items described anew, up to which a column is changed rather than made again; or a part of a large shop
_PART = 32
_NO_CODES = np.empty(0, dtype=np.int32)


class CatalogueView:
    """What the table says of the items of a vocabulary."""

    def __init__(self, table: ItemTable, vocabulary: Vocabulary, *, require: bool = False) -> None:
        """require: items that are not in the table are unavailable, instead of available."""
        self.table, self.vocabulary, self.require = table, vocabulary, require
        self._fresh: tuple[str, ...] | None = None  # None: not looked up since it changed
        while not self._take_all():
            pass

    @property
    def revision(self) -> int:
        """The revision of the table up to which its changes are taken up."""
        return self._revision

    @property
    def as_of(self) -> tuple[int, int]:
        """The revision and the generation of the table that it shows: they differ when anything else is shown."""
        return self._revision, self._generation

    @property
    def available(self) -> NDArray[np.bool_]:
        """Whether an item may be shown, (V + 1,); an item that is gone may not. Row 0: false."""
        return _read_only(self._available)

    @property
    def log_boost(self) -> NDArray[np.float32]:
        """What is added to an item's score, (V + 1,): the logarithm of its boost, 0 for one that has none."""
        return _read_only(self._log_boost)

    @property
    def price(self) -> NDArray[np.float32]:
        """The price, (V + 1,), nan where it is unknown."""
        return _read_only(self._price)

    @property
    def created(self) -> NDArray[np.int64]:
        """When an item came to be, (V + 1,), ms since epoch, 0 where it is unknown."""
        return _read_only(self._created)

    @property
    def fresh(self) -> Sequence[str]:
        """The ids of the items of the table that the vocabulary lacks, available or not, in the table's order."""
        if self._fresh is None:
            lacking = np.flatnonzero((self._item_of == PAD) & ~self._gone)
            ids = self.table.ids(0, len(self._item_of))
            self._fresh = tuple(ids[row] for row in lacking.tolist())
        return self._fresh

    def refresh(self) -> bool:
        """Take up what changed in the table since the last refresh; whether anything did."""
        if self.table.revision == self._revision and self.table.generation == self._generation:
            return False
        changes = self.table.changes(self._revision)
        if changes.generation == self._generation and self._take(changes):
            return True
        while not self._take_all():
            pass
        return True

    def codes(self, attribute: str) -> Csr:
        """Return the codes of all items in an attribute; prefixes of paths are among them."""
        column = self._column(attribute)
        return Csr(np.zeros(len(self.vocabulary) + 2, dtype=np.int64), _NO_CODES) if column is None else column.codes()

    def codes_of(self, attribute: str, item: int) -> NDArray[np.int32]:
        """Return the codes of one catalogue id in an attribute, ascending; cheap also right after a change."""
        column = self._column(attribute)
        return _NO_CODES if column is None else column.of(item)

    def counts(self, attribute: str, among: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
        """Return how many of the items `among` (V + 1,) have each code of an attribute, and how many of them none."""
        column = self._column(attribute)
        if column is None:
            return np.zeros(0, dtype=np.int64), int(np.count_nonzero(among))
        return column.counts(among)

    def value_code(self, attribute: str, text: str) -> int | None:
        """Return the code of a value of an attribute; None where no item of the table ever had it."""
        return self._values.code(attribute, text)

    def value_text(self, attribute: str, code: int) -> str:
        """Return the value that has a code in an attribute."""
        return self._values.text(attribute, code)

    def holders(self, attribute: str, code: int) -> NDArray[np.int32]:
        """Return the catalogue ids that have a value, ascending; kept until one of them changes."""
        column = self._column(attribute)
        return _NO_CODES if column is None else column.holders(code)

    def _take_all(self) -> bool:
        """Start anew; false where the table's rows got other numbers meanwhile."""
        size = len(self.vocabulary) + 1
        self._available = np.full(size, not self.require)
        self._available[PAD] = False
        self._log_boost = np.zeros(size, dtype=np.float32)
        self._price = np.full(size, np.nan, dtype=np.float32)
        self._created = np.zeros(size, dtype=np.int64)
        self._item_of = np.empty(0, dtype=np.int32)  # catalogue id of each row of the table, 0: not in the vocabulary
        self._gone = np.empty(0, dtype=np.bool_)  # of each row
        self._columns: dict[str, AttributeColumn] = {}
        self._fresh = None
        changes = self.table.changes(0)
        self._values, self._generation = changes.values, changes.generation
        return self._take(changes)

    def _take(self, changes: Changes) -> bool:
        rows = changes.rows
        if not self._look_up(int(rows.max(initial=-1)) + 1):
            return False
        items = self._item_of[rows]
        known = items != PAD
        items = items[known]
        self._available[items] = changes.available[known]
        self._log_boost[items] = np.log(changes.boost[known])
        self._price[items] = changes.price[known]
        self._created[items] = changes.created[known]
        self._gone[rows] = changes.gone
        if not known.all():
            self._fresh = None
        self._describe(changes)
        self._revision = changes.revision
        return True

    def _look_up(self, rows: int) -> bool:
        """Find the catalogue ids of new rows; false where rows got other numbers meanwhile."""
        found = [self._item_of]
        for start in range(len(self._item_of), rows, _STEP):
            ids = self.table.ids(start, min(start + _STEP, rows))
            found.append(self.vocabulary.look_up(ids, len(ids)))
            if rows - start > _STEP:
                time.sleep(_PAUSE_S)
        if self.table.generation != self._generation:
            return False
        if len(found) > 1:
            self._item_of = np.concatenate(found)
            self._gone = np.concatenate([self._gone, np.zeros(rows - len(self._gone), dtype=np.bool_)])
        return True

    def _describe(self, changes: Changes) -> None:
        """Take up changed attributes in those columns that somebody asked for."""
        if not self._columns:
            return
        places = np.flatnonzero(self._item_of[changes.described] != PAD)
        if len(places) > max(_FEW, len(self.vocabulary) // _PART):
            self._columns = {}
            return
        row_of_key = np.repeat(np.arange(len(changes.lengths)), changes.lengths)  # (T,) place among the described
        for name, column in self._columns.items():
            ours = self._values.attribute_of[changes.keys] == self._values.attribute(name)
            codes, rows = self._values.with_prefixes(changes.keys[ours], row_of_key[ours])
            starts, ends = np.searchsorted(rows, places), np.searchsorted(rows, places, side="right")
            for place, start, end in zip(places.tolist(), starts.tolist(), ends.tolist(), strict=True):
                column.change(int(self._item_of[changes.described[place]]), codes[start:end])

    def _column(self, attribute: str) -> AttributeColumn | None:
        found = self._columns.get(attribute)
        number = self._values.attribute(attribute)
        if found is not None or number is None:
            return found
        generation, keys, lengths = self.table.described()
        if generation != self._generation:
            self.refresh()
            return self._column(attribute)
        rows = np.repeat(np.arange(len(lengths)), lengths)  # (T,)
        ours = (self._values.attribute_of[keys] == number) & (rows < len(self._item_of))
        ours[ours] = self._item_of[rows[ours]] != PAD
        codes, items = self._values.with_prefixes(keys[ours], self._item_of[rows[ours]])
        column = AttributeColumn(items, codes, len(self.vocabulary))
        self._columns[attribute] = column
        return column


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    shown = array.view()
    shown.flags.writeable = False
    return shown
