"""The vocabulary: the shop's item ids beside the catalogue ids 1..V that a model knows.

V is the number of items; catalogue id 0 is padding and never an item.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["PAD", "Vocabulary"]

PAD = 0  # the catalogue id that fills a row up to its length; never an item


class Vocabulary:
    """The shop ids of one model in catalogue order: `items[0]` has catalogue id 1. Immutable."""

    __slots__ = ("_index", "items")

    def __init__(self, items: Iterable[str]) -> None:
        """Take the shop ids in catalogue order; ValueError unless they are distinct, non-empty strings."""
        self.items: tuple[str, ...] = tuple(items)
        self._index: dict[str, int] = {item: place for place, item in enumerate(self.items, start=PAD + 1)}
        if len(self._index) != len(self.items):
            raise ValueError(f"the vocabulary names {len(self.items) - len(self._index)} items more than once")
        if any(not isinstance(item, str) or not item for item in self.items):
            raise ValueError("the vocabulary holds something other than non-empty strings")

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
        return msgspec.json.encode(self.items)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Vocabulary":
        """Read the content of `items.json`; ValueError when it isn't a JSON list of distinct, non-empty strings."""
        try:
            return cls(msgspec.json.decode(content, type=tuple[str, ...]))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"not a JSON list of strings: {error}") from error
