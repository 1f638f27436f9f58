"""Similar items: which items of a model lie closest to one, by the cosine of their vectors.

The vectors lie in the bundle (`vectors.npy`): unit vectors of catalogue ids 1..V, float16, (V, H), mapped into memory.
Those of a coded model are put together from its codes, some at a time.
They are what items score by, so that items are alike which the same sessions lead to. Lists are exact: every item is
compared with every other, some at a time.

V items, H hidden, Q items asked about at once, K similar items.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.vocabulary import PAD
from export.errors import BundleError, ConfigError

__all__ = ["Similar", "SimilarList", "write_vectors"]

_AT_ONCE = 512  # Q
_BLOCK = 65_536  # items compared with them at a time

SimilarList = list[tuple[str, float]]  # (item id, cosine), the most similar first


def write_vectors(path: Path, vectors: NDArray[np.floating]) -> None:
    """Write the vectors (V, H) of catalogue ids 1..V, of any length, as a bundle has them."""
    np.save(path, _unit(vectors).astype(np.float16), allow_pickle=False)


class Similar:
    """Similar items of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """ConfigError for a bundle without vectors; BundleError `bad_vectors` for one whose vectors can't be read."""
        self.bundle, self.vocabulary = bundle, bundle.vocabulary
        self._vectors = None if bundle.vectors_path is None else _mapped(bundle.vectors_path, len(bundle.vocabulary))
        if self._vectors is None and bundle.codes is None:
            raise ConfigError(
                f"model {bundle.version} has no vectors of its items, as it was exported by an earlier release: train "
                "a new version"
            )

    def of(self, items: Sequence[str], k: int, available: NDArray[np.bool_] | None = None) -> list[SimilarList | None]:
        """Return the K items most similar to each, itself left out; None for one that the model does not know.

        available: (V + 1,) by catalogue id, as `CatalogueView.available`; others are left out. Fewer than K where no
        more are left. ConfigError unless K is positive.
        """
        ids = self.vocabulary.look_up(items, len(items))
        known = ids[ids != PAD]
        found = iter([one for part in self._lists(known, k, available) for one in part])
        return [next(found) if number != PAD else None for number in ids.tolist()]

    def all(self, k: int, available: NDArray[np.bool_] | None = None) -> Iterator[tuple[str, SimilarList]]:
        """Yield every item of the model with its list, in catalogue order."""
        ids = np.arange(PAD + 1, len(self.vocabulary) + 1, dtype=np.int32)
        names = iter(self.vocabulary.items)
        for part in self._lists(ids, k, available):
            for one in part:
                yield next(names), one

    def _lists(
        self, ids: NDArray[np.int32], k: int, available: NDArray[np.bool_] | None
    ) -> Iterator[list[SimilarList]]:
        if k < 1:
            raise ConfigError(f"a list has at least one item, not {k}")
        for start in range(0, len(ids), _AT_ONCE):
            places, scores = self._best(ids[start : start + _AT_ONCE] - (PAD + 1), k, available)
            yield [self._named(*row) for row in zip(places, scores, strict=True)]

    def _best(
        self, asked: NDArray[np.int32], k: int, available: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return places 0..V-1 (Q, <= K) of the most similar items, and their scores, -inf where none is left."""
        queries = self._unit(asked)  # (Q, H)
        places = np.empty((len(asked), 0), dtype=np.int64)
        scores = np.empty((len(asked), 0), dtype=np.float32)
        for start in range(0, len(self.vocabulary), _BLOCK):
            block = self._unit(np.arange(start, min(start + _BLOCK, len(self.vocabulary))))
            compared = queries @ block.T  # (Q, H) x (H, block) -> (Q, block)
            if available is not None:
                compared[:, ~available[PAD + 1 + start : PAD + 1 + start + len(block)]] = -np.inf
            own = np.flatnonzero((asked >= start) & (asked < start + len(block)))
            compared[own, asked[own] - start] = -np.inf
            there = np.broadcast_to(np.arange(start, start + len(block)), compared.shape)
            places, scores = _top(np.concatenate([places, there], 1), np.concatenate([scores, compared], 1), k)
        order = np.lexsort((places, -scores), axis=1)
        return np.take_along_axis(places, order, 1), np.take_along_axis(scores, order, 1)

    def _unit(self, places: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the unit vectors (n, H) of places 0..V-1."""
        if self._vectors is not None:
            unit: NDArray[np.float32] = self._vectors[places].astype(np.float32)
            return unit
        assert self.bundle.codes is not None
        return _unit(self.bundle.codes.vectors(places + (PAD + 1)))

    def _named(self, places: NDArray[np.int64], scores: NDArray[np.float32]) -> SimilarList:
        items = self.vocabulary.items
        pairs = zip(places.tolist(), scores.tolist(), strict=True)
        return [(items[place], score) for place, score in pairs if score > -np.inf]


def _top(
    places: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the K best columns of each row, in no order."""
    if scores.shape[1] <= k:
        return places, scores
    best = np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    return np.take_along_axis(places, best, 1), np.take_along_axis(scores, best, 1)


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[Any] = vectors / np.where(lengths > 0, lengths, 1.0)
    return unit


def _mapped(path: Path, items: int) -> NDArray[np.float16]:
    """BundleError `bad_vectors` for a file that doesn't hold the vectors of so many items."""
    try:
        vectors: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header raises whatever Python's tokenizer and numpy come across
        raise BundleError("bad_vectors", f"{path}: {error}") from error
    if vectors.ndim != 2 or len(vectors) != items or vectors.dtype != np.float16:
        raise BundleError("bad_vectors", f"{path} must hold {items} float16 vectors")
    return vectors
