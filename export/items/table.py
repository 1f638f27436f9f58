"""The table of items: what a shop said last of each, in columns, a million items in some 200 MB.

An item that is gone keeps its row, as what is gone must stay unavailable. One thread writes; any thread may read.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.errors import BadItem
from export.items.columns import Column, Lists
from export.items.item import Item
from export.items.values import AttributeValues

__all__ = ["Changes", "ItemTable"]

_UNKNOWN = -1  # of created_ts
_REMEMBERED = 131_072  # changes of which it is known at once which rows they were


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Rows that changed after a revision, as they are now: copies. R rows, T keys of attribute values."""

    revision: int  # these are all changes up to it
    generation: int  # of the rows and keys, see `ItemTable.generation`
    values: AttributeValues  # what the keys mean
    rows: NDArray[np.int64]  # (R,) ascending
    available: NDArray[np.bool_]  # (R,) false for what is gone
    gone: NDArray[np.bool_]  # (R,)
    boost: NDArray[np.float64]  # (R,)
    price: NDArray[np.float64]  # (R,) nan: unknown
    created: NDArray[np.int64]  # (R,) ms since epoch, 0: unknown
    described: NDArray[np.int64]  # (R') ascending: those of the rows whose attributes changed
    keys: NDArray[np.int32]  # (T,) of the values of these, row after row
    lengths: NDArray[np.int64]  # (R',) how many each has


class ItemTable:
    """The items by id. `revision` grows by one with each change; what repeats what is known is none."""

    def __init__(self, *, max_items: int | None = None, max_values: int | None = None) -> None:
        """max_items, max_values: items, and distinct attribute values, beyond which `put` refuses new ones.

        As many items that are gone are remembered; beyond, those that went first are forgotten.
        """
        self.lock = threading.RLock()
        self.revision = 0
        self.generation = 0  # grows when rows and keys get other numbers, which is rare: readers start anew
        self.forgotten = 0  # items that were gone and of which nothing is known any more
        self._max_items, self._max_values = max_items, max_values
        self.values = AttributeValues()
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._available = Column(np.bool_)
        self._gone = Column(np.bool_)
        self._price = Column(np.float64)
        self._boost = Column(np.float64)
        self._created = Column(np.int64)
        self._keys = Lists()
        self._described = Column(np.int64)  # revision at which its attributes changed last
        self._revisions = Column(np.int64)  # revision at which anything of it changed last
        self._log: list[int] = []  # rows of the last changes, the last one at `revision`
        self._gone_count = 0

    def __len__(self) -> int:
        return len(self._rows) - self._gone_count

    def __contains__(self, item_id: object) -> bool:
        with self.lock:
            row = self._rows.get(item_id) if isinstance(item_id, str) else None
            return row is not None and not self._gone[row]

    def __iter__(self) -> Iterator[Item]:
        """Yield the items that are there, in the order in which they came first."""
        for item_id in list(self._ids):
            item = self.get(item_id)
            if item is not None:
                yield item

    @property
    def gone(self) -> int:
        """How many items went and are remembered as unavailable."""
        return self._gone_count

    @property
    def unavailable(self) -> int:
        """How many of the items that are there are not available."""
        with self.lock:
            return len(self._rows) - int(self._available.values.sum()) - self._gone_count

    @property
    def rows(self) -> int:
        """How many rows there are, those of items that are gone too."""
        return len(self._ids)

    def get(self, item_id: str) -> Item | None:
        """Return what is in force of an item, None where it is unknown or gone."""
        with self.lock:
            row = self._rows.get(item_id)
            if row is None or self._gone[row]:
                return None
            price, created = float(self._price[row]), int(self._created[row])
            return Item(
                item_id=item_id,
                available=bool(self._available[row]),
                attributes=self.values.decode(self._keys[row]),
                price=None if np.isnan(price) else price,
                boost=float(self._boost[row]),
                created_ts=None if created == _UNKNOWN else created,
            )

    def is_gone(self, item_id: str) -> bool:
        """Tell whether an item went, as far as that is remembered."""
        with self.lock:
            row = self._rows.get(item_id)
            return row is not None and bool(self._gone[row])

    def put(self, item: Item) -> bool:
        """Take an item in place of what was known of it; whether anything changed.

        BadItem `too_many_items` or `too_many_different_values` where the table is full; what was known stays in force.
        """
        with self.lock:
            row = self._rows.get(item.item_id)
            self._check_room(item, is_new=row is None or bool(self._gone[row]))
            keys = self.values.encode(item.attributes)
            price = np.nan if item.price is None else item.price
            created = _UNKNOWN if item.created_ts is None else item.created_ts
            if row is None:
                self._rows[item.item_id] = len(self._ids)
                self._append([(item, keys)])
                return True
            return self._replace(row, item, price, created, keys)

    def put_all(self, items: Sequence[Item]) -> list[tuple[int, BadItem]]:
        """Take items, one after the other, faster than `put` does; the places of those refused, and why."""
        refused: list[tuple[int, BadItem]] = []
        new: list[tuple[Item, list[int]]] = []  # not in the columns yet, but in `_rows`
        with self.lock:
            for place, item in enumerate(items):
                row = self._rows.get(item.item_id)
                try:
                    if row is None:
                        self._check_room(item, is_new=True)
                        self._rows[item.item_id] = len(self._ids) + len(new)
                        new.append((item, self.values.encode(item.attributes)))
                        continue
                    self._append(new)
                    new = []
                    self.put(item)
                except BadItem as error:
                    refused.append((place, error))
            self._append(new)
        return refused

    def remove(self, item_id: str) -> bool:
        """Make an item gone, also one that never was there; whether that is a change."""
        with self.lock:
            row = self._rows.get(item_id)
            if row is None:
                row = self._rows[item_id] = len(self._ids)
                self._append([(Item(item_id, available=False), [])])
            elif self._gone[row]:
                return False
            else:
                if self._keys[row]:
                    self._keys[row] = ()
                    self._described[row] = self.revision + 1
                self._available[row], self._boost[row] = False, 1.0
                self._price[row], self._created[row] = np.nan, _UNKNOWN
                self._changed(row)
            self._gone[row] = True
            self._gone_count += 1
            self._forget_some()
            return True

    def clear(self) -> None:
        """Forget all of it, as if nothing had ever been said."""
        with self.lock:
            self._ids, self._rows, self._log = [], {}, []
            for column in self._columns():
                column.keep(np.zeros(len(column), dtype=np.bool_))
            self.values = AttributeValues()
            self._gone_count = 0
            self.revision += 1
            self.generation += 1

    def changed_since(self, revision: int) -> Sequence[str]:
        """Return the ids of the items that changed after a revision, each once, those that are gone too."""
        with self.lock:
            return [self._ids[row] for row in self._rows_since(revision).tolist()]

    def changes(self, revision: int) -> Changes:
        """Return what changed after a revision; of 0, everything that was ever said."""
        with self.lock:
            rows = self._rows_since(revision)
            described = rows[self._described.values[rows] > revision]
            keys, lengths = self._keys.take(described)
            return Changes(
                revision=self.revision,
                generation=self.generation,
                values=self.values,
                rows=rows,
                available=self._available.values[rows],
                gone=self._gone.values[rows],
                boost=self._boost.values[rows],
                price=self._price.values[rows],
                created=np.maximum(self._created.values[rows], 0),
                described=described,
                keys=keys,
                lengths=lengths,
            )

    def has(self, what: Literal["price", "created_ts"]) -> bool:
        """Return whether any item has a price, or a time of its creation."""
        with self.lock:
            return bool((self._created.values > 0).any() if what == "created_ts" else (self._price.values > 0).any())

    def ids(self, start: int, end: int) -> list[str]:
        """Return the ids of rows `start` to `end`."""
        return self._ids[start:end]

    def described(self) -> tuple[int, NDArray[np.int32], NDArray[np.int64]]:
        """Return (generation, keys int32 (T,) row after row, lengths int64 (R,)) of all rows."""
        with self.lock:
            return self.generation, *self._keys.take()

    def _check_room(self, item: Item, *, is_new: bool) -> None:
        if is_new and self._max_items is not None and len(self) >= self._max_items:
            raise BadItem("too_many_items", f"the table holds {self._max_items:,} items, the most it may")
        if self._max_values is None or len(self.values) + self.values.new_among(item.attributes) <= self._max_values:
            return
        self._drop_unused_values()
        if len(self.values) + self.values.new_among(item.attributes) > self._max_values:
            raise BadItem(
                "too_many_different_values", f"the items have {self._max_values:,} different values, the most they may"
            )

    def _append(self, new: Sequence[tuple[Item, list[int]]]) -> None:
        """Add rows of items that `_rows` has already, with the keys of their values."""
        if not new:
            return
        start, count = len(self._ids), len(new)
        items = [item for item, _ in new]
        revisions = np.arange(self.revision + 1, self.revision + 1 + count)
        self._available.extend([item.available for item in items])
        self._gone.extend(np.zeros(count, dtype=np.bool_))
        self._price.extend([np.nan if item.price is None else item.price for item in items])
        self._boost.extend([item.boost for item in items])
        self._created.extend([_UNKNOWN if item.created_ts is None else item.created_ts for item in items])
        self._keys.extend([keys for _, keys in new])
        self._described.extend(np.where([bool(keys) for _, keys in new], revisions, 0))
        self._revisions.extend(revisions)
        self._ids.extend([item.item_id for item in items])
        self.revision += count
        self._remember(range(start, start + count))

    def _replace(self, row: int, item: Item, price: float, created: int, keys: list[int]) -> bool:
        before = self._available[row], self._boost[row], self._created[row], bool(self._gone[row])
        held = self._price[row]
        same_price = held == price or (price != price and held != held)
        same_keys = self._keys[row] == keys
        if same_price and same_keys and before == (item.available, item.boost, created, False):
            return False
        if self._gone[row]:
            self._gone[row] = False
            self._gone_count -= 1
        self._available[row], self._boost[row] = item.available, item.boost
        self._price[row], self._created[row] = price, created
        if not same_keys:
            self._keys[row] = keys
            self._described[row] = self.revision + 1
        self._changed(row)
        return True

    def _changed(self, row: int) -> None:
        self.revision += 1
        self._revisions[row] = self.revision
        self._remember((row,))

    def _remember(self, rows: Sequence[int]) -> None:
        self._log.extend(rows)
        if len(self._log) > 2 * _REMEMBERED:
            del self._log[:-_REMEMBERED]

    def _rows_since(self, revision: int) -> NDArray[np.int64]:
        first = self.revision - len(self._log)  # the log holds what came after it
        if revision >= first:
            return np.unique(np.array(self._log[max(0, revision - first) :], dtype=np.int64))
        return np.flatnonzero(self._revisions.values > revision)

    def _drop_unused_values(self) -> None:
        used = np.zeros(len(self.values), dtype=np.bool_)
        used[self._keys.take()[0]] = True
        self.values, moved = self.values.kept(used)
        self._keys.renumber(moved)
        self.generation += 1

    def _forget_some(self) -> None:
        """Forget the half of what is gone that went first, where it is too much."""
        if self._max_items is None or self._gone_count <= self._max_items:
            return
        gone = np.flatnonzero(self._gone.values)
        oldest = gone[np.argsort(self._revisions.values[gone], kind="stable")][: (len(gone) + 1) // 2]
        kept = np.ones(len(self._ids), dtype=np.bool_)
        kept[oldest] = False
        for column in self._columns():
            column.keep(kept)
        self._ids = [self._ids[row] for row in np.flatnonzero(kept).tolist()]
        self._rows = {item_id: row for row, item_id in enumerate(self._ids)}
        self._log = []
        self._gone_count -= len(oldest)
        self.forgotten += len(oldest)
        self.revision += 1
        self.generation += 1

    def _columns(self) -> list[Column | Lists]:
        of_rows = (self._available, self._gone, self._price, self._boost, self._created, self._described)
        return [*of_rows, self._revisions, self._keys]
