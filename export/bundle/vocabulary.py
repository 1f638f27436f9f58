"""The vocabulary: the shop's item ids beside the catalogue ids 1..V that a model knows.

V is the number of items; catalogue id 0 is padding and never an item.

A vocabulary is read while another model serves, so it is made in steps with pauses between them: what runs inside one
call of the interpreter keeps every other thread waiting.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.bundle.packed import PackedIndex, PackedStrings
from export.bundle.plain_json import strings_in
from export.gently import pause

__all__ = ["PAD", "Vocabulary"]

_STEP = 4_096  # items handled without a pause, in about half a millisecond
_BETWEEN = re.compile(rb'[^\[,\\\s]","')  # the end of one string and the start of the next, no doubt about it
_PART = 32 * _STEP  # bytes of JSON read without a pause

_PACKED_FROM = 200_000  # items that are kept as bytes: a third of a kilobyte each they would cost as objects
_JSON_OF_PACKED = 4 * _PACKED_FROM  # bytes, with each of them one letter

PAD = 0  # the catalogue id that fills a row up to its length; never an item


class Vocabulary:
    """The shop ids of one model in catalogue order: `items[0]` has catalogue id 1. Immutable."""

    __slots__ = ("__weakref__", "_index", "items")

    def __init__(self, items: Iterable[str]) -> None:
        """Take the shop ids in catalogue order; ValueError unless they are distinct, non-empty strings."""
        self.items: Sequence[str] = items if isinstance(items, PackedStrings) else _kept(items)
        if isinstance(self.items, PackedStrings):
            self._index: Mapping[str, int] = PackedIndex(self.items, PAD + 1)
            repeated = self._index.repeated
        else:
            self._index = _indexed(self.items)
            repeated = len(self.items) - len(self._index)
        if repeated:
            raise ValueError(f"the vocabulary names {repeated} items more than once")

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.items == other.items

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} items)"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.items,)

    def index(self, item_id: str) -> int:
        """Return the catalogue id of a shop id, 0 (`PAD`) if the model doesn't know it."""
        return self._index.get(item_id, PAD)

    def item(self, index: int) -> str:
        """Return the shop id of catalogue id `index`; IndexError unless it is in 1..V."""
        if not PAD < index <= len(self.items):
            raise IndexError(f"catalogue id {index} is not in 1..{len(self.items)}")
        return self.items[index - 1]

    def encode(self, item_ids: Iterable[str]) -> list[int]:
        """Return the catalogue ids of `item_ids` in their order, unknown ones left out."""
        index = self._index
        return [index[item_id] for item_id in item_ids if item_id in index]

    def look_up(self, item_ids: Iterable[str], count: int) -> NDArray[np.int32]:
        """Return the catalogue ids of `count` shop ids, 0 (`PAD`) for those the model doesn't know."""
        return np.fromiter(map(self._index.get, item_ids, repeat(PAD)), dtype=np.int32, count=count)

    def decode(self, indices: Sequence[int]) -> list[str]:
        """Return the shop ids of catalogue ids, each of which must be in 1..V."""
        return [self.item(index) for index in indices]

    def to_bytes(self) -> bytes:
        """Return the content of `items.json`: a JSON list of the shop ids, UTF-8."""
        parts = (self.items[start : start + _STEP] for start in range(0, len(self.items), _STEP))
        return b"[" + b",".join(msgspec.json.encode(part)[1:-1] for part in parts) + b"]"

    @classmethod
    def from_bytes(cls, content: bytes) -> "Vocabulary":
        """Read the content of `items.json`; ValueError when it isn't a JSON list of distinct, non-empty strings."""
        return cls.read(io.BytesIO(content), len(content))

    @classmethod
    def read(cls, file: BinaryIO, size: int) -> "Vocabulary":
        """Read the `size` bytes of `items.json`, from where the file stands; errors as `from_bytes`. A large one that
        is written plainly is never in memory as a whole."""
        begin = file.tell()
        plain = strings_in(file, size) if size >= _JSON_OF_PACKED else None
        if plain is not None and len(plain) >= _PACKED_FROM:
            return cls(plain)
        file.seek(begin)
        try:
            return cls(chain.from_iterable(msgspec.json.decode(one, type=list[str]) for one in _parts(file.read(size))))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"not a JSON list of strings: {error}") from error


def _kept(items: Iterable[str]) -> Sequence[str]:
    checked = _checked(items)
    first = tuple(islice(checked, _PACKED_FROM))
    return first if len(first) < _PACKED_FROM else PackedStrings(chain(first, checked))


def _checked(items: Iterable[str]) -> Iterator[str]:
    waiting = iter(items)
    while part := tuple(islice(waiting, _STEP)):
        if not all(isinstance(item, str) and item for item in part):
            raise ValueError("the vocabulary holds something other than non-empty strings")
        yield from part


def _indexed(items: Sequence[str]) -> dict[str, int]:
    """Return the catalogue id of each item, one of those of equal ones."""
    index: dict[str, int] = {}
    for start in _steps(len(items)):
        part = items[start : start + _STEP]
        index.update(zip(part, range(start + PAD + 1, start + PAD + 1 + len(part)), strict=True))
    return index


def _steps(count: int) -> Iterator[int]:
    """Yield 0, _STEP, … below `count`, and let other threads run in between."""
    for start in range(0, count, _STEP):
        if start:
            pause()
        yield start


def _parts(content: bytes) -> Iterator[bytes]:
    """Yield JSON lists that together hold what the list of strings `content` does, with pauses; all of it if in doubt.

    A quote before `,"` ends a string unless it is escaped or begins one: then a backslash, or what may stand between
    strings, goes before it.
    """
    start, opening = 0, b""
    while (found := _BETWEEN.search(content, start + _PART)) is not None:
        end = found.start() + 2  # behind the quote
        yield opening + content[start:end] + b"]"
        start, opening = end + 1, b"["
        pause()
    yield opening + content[start:]
