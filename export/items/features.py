"""What a model makes of an item's attributes: numbered features, the same at training and at serving.

A feature is a value of an attribute ("brand" is "Acme"), or the band that the price lies in. Values that several items
have are learned, each with a row of its own; the rest share rows by a hash, so that a value never seen before has one
as well. Codes: 0 padding, 1..N the learned values, then the shared rows, then the price bands, cheapest first.
"""

import hashlib
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.items.item import Item
from export.items.values import is_path, prefixes

__all__ = ["MOST_VALUES", "FeatureRows", "FeatureVocabulary"]

MOST_VALUES = 64  # features of an item that count, first come; a text of tags must not cost more than a model
_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Features of many items, one after the other: item i has codes[offsets[i]:offsets[i + 1]]."""

    offsets: NDArray[np.int64]  # (N + 1,)
    codes: NDArray[np.int64]  # (F,)
    weights: NDArray[np.float32]  # (F,) 1 / sqrt(values of the attribute that the item has)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Features of each item, (N,)."""
        return np.diff(self.offsets)

    def padded(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return codes (N, A) and weights (N, A), 0 where an item has fewer than A features; A is at least 1."""
        counts = self.counts
        filled = np.arange(max(1, int(counts.max(initial=0)))) < counts[:, None]
        codes, weights = np.zeros(filled.shape, np.int64), np.zeros(filled.shape, np.float32)
        codes[filled], weights[filled] = self.codes, self.weights
        return codes, weights


class FeatureVocabulary(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Which features there are. JSON, beside the model that knows them."""

    values: tuple[tuple[str, str], ...]  # attribute and value, most frequent first; the first has code 1
    shared: int  # rows that all other values share by their hash
    edges: tuple[float, ...] = ()  # rising prices that part the bands; none: prices are no feature
    format: int = _FORMAT

    def __post_init__(self) -> None:
        """ValueError for one that no release writes."""
        if self.format != _FORMAT:
            raise ValueError(f"features of format {self.format}; this release reads format {_FORMAT}")
        if self.shared < 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("shared must be at least 1, and the edges of the price bands must rise")

    @classmethod
    def learn(
        cls, items: Iterable[Item], *, most: int = 50_000, least: int = 2, shared: int = 256, bands: int = 16
    ) -> "FeatureVocabulary":
        """Take the `most` frequent values that at least `least` items have; prices in `bands` of equal counts."""
        counts: Counter[tuple[str, str]] = Counter()
        prices = []
        for item in items:
            counts.update({(name, value) for name, values in item.attributes.items() for value in _whole(name, values)})
            if item.price is not None:
                prices.append(item.price)
        often = sorted(
            (pair for pair, count in counts.items() if count >= least), key=lambda pair: (-counts[pair], pair)
        )
        shares = np.arange(1, bands) / bands
        edges = tuple(np.unique(np.quantile(prices, shares)).tolist()) if prices else ()
        return cls(values=tuple(often[:most]), shared=shared, edges=edges)

    @property
    def size(self) -> int:
        """Codes, padding among them."""
        return 1 + len(self.values) + self.shared + (len(self.edges) + 1 if self.edges else 0)

    @cached_property
    def _code(self) -> dict[tuple[str, str], int]:
        return {pair: code for code, pair in enumerate(self.values, start=1)}

    def code(self, attribute: str, value: str) -> int:
        """Return the code of a value: its own, or one that it shares with others."""
        own = self._code.get((attribute, value))
        if own is not None:
            return own
        return 1 + len(self.values) + zlib.crc32(f"{attribute}\0{value}".encode()) % self.shared

    def encode(self, items: Iterable[Item | None]) -> FeatureRows:
        """Return the features of items in their order; none for an item of which nothing is known."""
        offsets, codes, weights = [0], list[int](), list[float]()
        for item in items:
            if item is not None:
                own, shares = self.features_of(item)
                codes += own
                weights += shares
            offsets.append(len(codes))
        return FeatureRows(np.array(offsets, np.int64), np.array(codes, np.int64), np.array(weights, np.float32))

    def features_of(self, item: Item) -> tuple[list[int], list[float]]:
        """Return the codes of one item's features, and their weights."""
        codes, weights = list[int](), list[float]()
        if self.edges and item.price is not None:
            codes.append(1 + len(self.values) + self.shared + bisect_right(self.edges, item.price))
            weights.append(1.0)
        for name, texts in sorted(item.attributes.items()):
            values = _whole(name, texts)
            codes += [self.code(name, value) for value in values]
            weights += [max(1, len(values)) ** -0.5] * len(values)
        return codes[:MOST_VALUES], weights[:MOST_VALUES]

    def alike(self, other: "FeatureVocabulary") -> NDArray[np.int64]:
        """Return (n, 2) pairs of codes, mine and those of `other`, that stand for the same; rows 0 among them."""
        pairs = [(0, 0), *((code, other._code[pair]) for pair, code in self._code.items() if pair in other._code)]
        if self.shared == other.shared:
            pairs += [(1 + len(self.values) + row, 1 + len(other.values) + row) for row in range(self.shared)]
        if len(self.edges) == len(other.edges):
            bands = self.size - len(self.values) - 1 - self.shared
            mine, theirs = self.size - bands, other.size - bands
            pairs += [(mine + band, theirs + band) for band in range(bands)]
        return np.array(pairs, np.int64)

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "FeatureVocabulary":
        """Read what `to_bytes` gave; ValueError for anything else."""
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"no feature vocabulary: {error}") from error

    def digest(self) -> str:
        """Return its SHA-256 in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def _whole(name: str, texts: Sequence[str]) -> Sequence[str]:
    """Return the values of an attribute, the prefixes of a path among them, each once."""
    if not is_path(name):
        return texts
    return list(dict.fromkeys(part for text in texts for part in (*prefixes(text), text)))
