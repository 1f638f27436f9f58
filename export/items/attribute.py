"""One attribute of a model's items, both ways: the codes that an item has, and the items that have a code.

V items, catalogue ids 1..V, row 0 padding; N codes of all items. Changed items are kept beside the arrays until there
are many of them, or somebody wants the arrays.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.items.columns import joined

__all__ = ["AttributeColumn", "Csr"]

_Codes = NDArray[np.int32]


class Csr(NamedTuple):
    """Rows of codes: `values[offsets[i]:offsets[i + 1]]` are those of catalogue id i, ascending."""

    offsets: NDArray[np.int64]  # (V + 2,)
    values: NDArray[np.int32]  # (N,)


class AttributeColumn:
    """For one thread. Arrays that are handed out are read-only and stay as they are."""

    def __init__(self, items: NDArray[np.integer], codes: NDArray[np.integer], size: int) -> None:
        """items, codes: (N,) pairs, each once, sorted by item and code; size: V."""
        self._size = size
        self._csr = _csr(items, codes.astype(np.int32), size)
        self._changed: dict[int, _Codes] = {}  # catalogue id -> its codes, of those that changed
        self._inverse: Csr | None = None  # of `_csr`: code -> catalogue ids
        self._holders: dict[int, _Codes] = {}

    def codes(self) -> Csr:
        """Return the codes of all items."""
        if self._changed:
            self._merge()
        return self._csr

    def of(self, item: int) -> _Codes:
        """Return the codes of one catalogue id, ascending."""
        changed = self._changed.get(item)
        return self._csr.values[self._csr.offsets[item] : self._csr.offsets[item + 1]] if changed is None else changed

    def holders(self, code: int) -> _Codes:
        """Return the catalogue ids that have a code, ascending."""
        found = self._holders.get(code)
        if found is None:
            found = self._holders[code] = _read_only(self._find(code))
        return found

    def counts(self, among: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
        """Return how many of the items `among` (V + 1,) have each code, and how many of them have none."""
        offsets, values = self._csr
        items = np.repeat(np.arange(self._size + 1), np.diff(offsets))
        if self._changed:
            asked = among.copy()
            asked[list(self._changed)] = False
            changed = [(item, codes) for item, codes in self._changed.items() if among[item]]
            kept = asked[items]
            codes = np.concatenate([values[kept], *(codes for _, codes in changed)])
            having = np.concatenate([items[kept], np.array([item for item, codes in changed if len(codes)], np.int64)])
        else:
            kept = among[items]
            codes, having = values[kept], items[kept]
        with_one = np.zeros(self._size + 1, dtype=np.bool_)
        with_one[having] = True
        return np.bincount(codes), int(np.count_nonzero(among) - np.count_nonzero(with_one))

    def change(self, item: int, codes: _Codes) -> None:
        """Give one catalogue id other codes, which are ascending."""
        before = self.of(item)
        if np.array_equal(before, codes):
            return
        for code in {*before.tolist(), *codes.tolist()}:
            self._holders.pop(code, None)
        self._changed[item] = _read_only(codes.astype(np.int32))

    def _find(self, code: int) -> _Codes:
        if self._inverse is None:
            items = np.repeat(np.arange(self._size + 1), np.diff(self._csr.offsets))
            pairs = np.sort((self._csr.values.astype(np.int64) << 32) | items)
            last = int(self._csr.values.max(initial=0))
            self._inverse = _csr(pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32), last)
        offsets = self._inverse.offsets
        known = 0 <= code < len(offsets) - 1
        found = self._inverse.values[offsets[code] : offsets[code + 1]] if known else self._inverse.values[:0]
        if not self._changed:
            return found
        changed = np.fromiter(self._changed, dtype=np.int32, count=len(self._changed))
        added = [item for item, codes in self._changed.items() if code in codes]
        return np.sort(np.concatenate([found[~np.isin(found, changed)], np.array(added, dtype=np.int32)]))

    def _merge(self) -> None:
        changed = np.array(sorted(self._changed), dtype=np.int64)
        lengths = np.diff(self._csr.offsets)
        lengths[changed] = 0
        kept = self._csr.values[joined(self._csr.offsets[:-1], lengths)]
        items = [np.repeat(np.arange(self._size + 1), lengths)]
        items += [np.full(len(self._changed[item]), item) for item in changed.tolist()]
        all_items = np.concatenate(items)
        order = np.argsort(all_items, kind="stable")
        codes = np.concatenate([kept, *(self._changed[item] for item in changed.tolist())])
        self._csr = _csr(all_items[order], codes[order], self._size)
        self._inverse, self._changed = None, {}


def _csr(rows: NDArray[np.integer], values: NDArray[np.int32], last: int) -> Csr:
    """Return the values by row, 0 to `last`; rows (N,) ascend."""
    offsets = np.zeros(last + 2, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=last + 1), out=offsets[1:])
    return Csr(_read_only(offsets), _read_only(values))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
