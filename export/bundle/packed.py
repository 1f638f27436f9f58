"""Millions of strings as bytes, not objects: their text end to end, and an index from each to its number.

Two million shop ids cost 40 MB so; a tuple of strings and a dict of them cost 300 MB. A look-up costs a microsecond in
place of a tenth. They are made while others run: by numpy, which lets them. n strings.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from export.bundle.hashing import hash_of, hashes_of, slot_of, slots_of
from export.gently import pause, rest

__all__ = ["PackedIndex", "PackedStrings"]

_STEP = 4_096  # strings handled without a pause, in about a millisecond
_AT_ONCE = 1 << 14  # strings handled by one call of numpy
_FREE = 0.5  # least share of an index's slots that is empty
_MOST_32 = 1 << 32
_MOST_ALIKE = 64  # different strings of one hash that have slots; more of them somebody has made so


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
        self._set(bytes(text), np.frombuffer(lengths, dtype=np.uintc))

    @classmethod
    def of(cls, text: bytes, lengths: NDArray[np.integer]) -> "PackedStrings":
        """Take strings as their UTF-8 end to end, and the bytes that each has (n,)."""
        made = cls.__new__(cls)
        made._set(text, lengths)
        return made

    def _set(self, text: bytes, lengths: NDArray[np.integer]) -> None:
        self._text = text
        kind = np.uint32 if len(text) < _MOST_32 else np.int64
        self._ends: NDArray[Any] = np.zeros(len(lengths) + 1, dtype=kind)  # (n + 1,), a 0 first
        np.cumsum(lengths, dtype=kind, out=self._ends[1:])
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

    def hashes(self, start: int, end: int) -> NDArray[np.uint64]:
        """Return the hashes (end - start,) of the strings from number `start` to `end`."""
        return hashes_of(self._text, self._ends[start:end], self._ends[start + 1 : end + 1])

    def _bytes(self, place: int) -> bytes:
        return self._text[self._starts[place] : self._starts[place + 1]]

    def _string(self, place: int) -> str:
        return self._bytes(place).decode()


class PackedIndex(Mapping[str, int]):
    """The number of each of some strings, from `first` on: slots by their hash, the next one where one is taken."""

    __slots__ = ("_bits", "_crowded", "_first", "_mask", "_places", "_slots", "_strings", "repeated")

    def __init__(self, strings: PackedStrings, first: int) -> None:
        """Index strings. Of equal strings the first is found; `repeated` says how many there are besides."""
        self._strings, self._first = strings, first
        self._bits = max(3, int(np.ceil(np.log2(max(1, len(strings)) / (1 - _FREE)))))
        self._mask = (1 << self._bits) - 1
        hashes = np.empty(len(strings), dtype=np.uint64)
        for start in range(0, len(strings), _AT_ONCE):
            end = min(start + _AT_ONCE, len(strings))
            hashes[start:end] = strings.hashes(start, end)
            rest()
        # Equal strings, and those of one hash, would look for their slots one behind the other, in quadratic time
        self._crowded: dict[bytes, int] = {}  # strings that have no slot, as too many others have their hash
        repeats = self._repeats(hashes)
        self.repeated = len(repeats)
        self._slots = np.zeros(1 << self._bits, dtype=np.uint32)  # place + 1; 0: empty
        without = repeats + list(self._crowded.values())
        places = np.delete(np.arange(len(hashes)), without) if without else None
        for start in range(0, len(hashes) - len(without), _AT_ONCE):
            end = min(start + _AT_ONCE, len(hashes) - len(without))
            part_of = np.arange(start, end) if places is None else places[start:end]
            self._put(hashes[part_of], part_of)
            rest()
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
        text = string.encode(errors="surrogatepass")  # which no string of ours has
        slot = slot_of(hash_of(text), self._bits)
        strings, places = self._strings, self._places
        while place := places[slot]:
            if strings._bytes(place - 1) == text:
                return place - 1 + self._first
            slot = (slot + 1) & self._mask
        return self._crowded[text] + self._first if text in self._crowded else -1

    def _put(self, hashes: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        """Give each its slot: all at once, and again for those that others were faster than."""
        slots = slots_of(hashes, self._bits)
        places = (numbers + 1).astype(np.uint32)
        while len(places):
            empty = self._slots[slots] == 0
            self._slots[slots[empty]] = places[empty]  # of several in one slot, one stays
            left = self._slots[slots] != places
            slots, places = (slots[left] + 1) & self._mask, places[left]

    def _repeats(self, hashes: NDArray[np.uint64]) -> list[int]:
        """Return the places of strings that stand at an earlier one too: equal hashes tell which to compare."""
        ordered = np.sort(hashes)
        same = ordered[1:] == ordered[:-1]
        if not same.any():
            return []
        alike = np.flatnonzero(np.isin(hashes, np.unique(ordered[1:][same])))
        seen: dict[int, set[bytes]] = {}
        repeats = []
        for number, place in enumerate(alike.tolist()):
            if number % _STEP == _STEP - 1:
                pause()
            of_hash, text = seen.setdefault(int(hashes[place]), set()), self._strings._bytes(place)
            if text in of_hash:
                repeats.append(place)
            elif len(of_hash) >= _MOST_ALIKE:
                self._crowded[text] = place
            of_hash.add(text)
        return repeats


def _parts(strings: Iterable[str]) -> Iterator[list[str]]:
    """Yield them some at a time, with pauses in between."""
    waiting = iter(strings)
    while part := list(islice(waiting, _STEP)):
        yield part
        pause()
