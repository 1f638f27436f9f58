"""Millions of strings as bytes, not objects: their text end to end, and an index from each to its number.

Two million shop ids cost 50 MB so; a tuple of strings and a dict of them cost 300 MB. A look-up costs half a
microsecond in place of a tenth. n strings.
"""

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["PackedIndex", "PackedStrings"]

_STEP = 4_096  # strings handled without a pause, in about a millisecond
_PAUSE_S = 0.0002  # long enough for a waiting thread to go on
_FREE = 0.5  # least share of an index's slots that is empty
_MOST_32 = 1 << 32


class PackedStrings(Sequence[str]):
    """Strings that are read one by one, each made anew."""

    __slots__ = ("_ends", "_starts", "_text")

    def __init__(self, strings: Iterable[str]) -> None:
        """Take strings, in steps with pauses. ValueError for one that UTF-8 does not have."""
        text, lengths = bytearray(), array("I")  # each grows in one place, and leaves no holes in memory
        for part in _parts(strings):
            encoded = [string.encode() for string in part]
            lengths.extend(map(len, encoded))
            text += b"".join(encoded)
        self._text = bytes(text)
        kind = np.uint32 if len(text) < _MOST_32 else np.int64
        self._ends = np.zeros(len(lengths) + 1, dtype=kind)  # (n + 1,), a 0 first
        np.cumsum(np.frombuffer(lengths, dtype=np.uintc), dtype=kind, out=self._ends[1:])
        self._starts = self._ends.data  # read one by one, faster than an array

    def __reduce__(self) -> tuple[type["PackedStrings"], tuple[tuple[str, ...]]]:
        return type(self), (tuple(self),)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(map(self._string, range(*place.indices(len(self)))))
        if not -len(self) <= place < len(self):
            raise IndexError(f"there are {len(self)} strings, and none at {place}")
        return self._string(place + len(self) if place < 0 else place)

    def __iter__(self) -> Iterator[str]:
        return map(self._string, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedStrings):
            return NotImplemented
        return self._text == other._text and np.array_equal(self._ends, other._ends)

    def __hash__(self) -> int:
        return hash(self._text)

    def _string(self, place: int) -> str:
        return self._text[self._starts[place] : self._starts[place + 1]].decode()


class PackedIndex(Mapping[str, int]):
    """The number of each of some strings, from `first` on: slots by Python's hash, the next one where one is taken."""

    __slots__ = ("_first", "_mask", "_places", "_slots", "_strings", "repeated")

    def __init__(self, strings: PackedStrings, first: int) -> None:
        """Index strings, in steps with pauses. Of equal strings one is found; `repeated` says whether there are any."""
        self._strings, self._first = strings, first
        size = 1 << max(3, int(np.ceil(np.log2(max(1, len(strings)) / (1 - _FREE)))))
        self._mask = size - 1
        self._slots = np.zeros(size, dtype=np.uint32)  # place + 1; 0: empty
        hashes = np.empty(len(strings), dtype=np.int64)
        for start in range(0, len(strings), _STEP):
            part = strings[start : start + _STEP]
            hashes[start : start + len(part)] = np.fromiter(map(hash, part), dtype=np.int64, count=len(part))
            time.sleep(_PAUSE_S)
        repeats = self._repeats(hashes)
        self.repeated = len(repeats)
        # Equal strings would look for their slots one behind the other, in quadratic time
        places = np.delete(np.arange(len(hashes)), repeats)
        for start in range(0, len(places), _STEP):
            part_of = places[start : start + _STEP]
            self._put(hashes[part_of], part_of)
            time.sleep(_PAUSE_S)
        self._places = self._slots.data

    def __len__(self) -> int:
        return len(self._strings)

    def __iter__(self) -> Iterator[str]:
        return iter(self._strings)

    def __getitem__(self, string: str) -> int:
        found = self._find(string)
        if found < 0:
            raise KeyError(string)
        return found

    def __contains__(self, string: object) -> bool:
        return isinstance(string, str) and self._find(string) >= 0

    def get(self, string: str, default: int = 0) -> int:  # type: ignore[override]
        """Return the number of a string, or the default."""
        found = self._find(string)
        return default if found < 0 else found

    def _find(self, string: str) -> int:
        slot = hash(string) & self._mask
        strings, places = self._strings, self._places
        while place := places[slot]:
            if strings._string(place - 1) == string:
                return place - 1 + self._first
            slot = (slot + 1) & self._mask
        return -1

    def _put(self, hashes: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """Give each its slot: all at once, and again for those that others were faster than."""
        slots = hashes & self._mask
        places = (numbers + 1).astype(np.uint32)
        while len(places):
            empty = self._slots[slots] == 0
            self._slots[slots[empty]] = places[empty]  # of several in one slot, one stays
            left = self._slots[slots] != places
            slots, places = (slots[left] + 1) & self._mask, places[left]

    def _repeats(self, hashes: NDArray[np.int64]) -> list[int]:
        """Return the places of strings that stand at an earlier one too: equal hashes tell which to compare."""
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        alike = np.union1d(order[same], order[same + 1])
        seen: set[str] = set()
        repeats = []
        for place in alike.tolist():
            string = self._strings[place]
            if string in seen:
                repeats.append(place)
            seen.add(string)
        return repeats


def _parts(strings: Iterable[str]) -> Iterator[list[str]]:
    """Yield them some at a time, with pauses in between."""
    waiting = iter(strings)
    while part := list(islice(waiting, _STEP)):
        yield part
        time.sleep(_PAUSE_S)
