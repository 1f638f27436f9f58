"""The features that a model's items had when it was trained: by them it is found which have changed since.

An item's vector is the row of its id and what its features add (model/nets/tower.py). So the vector of changed features
is the one that the model has, less what the tower gives for the features of then, plus what it gives for those of now.

V items, F features of all of them; the file has a row a feature, by item.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from export.bundle.bundle import Bundle
from export.errors import BundleError
from export.items.columns import joined
from export.items.features import FeatureRows
from export.npy import one_at_a_time

__all__ = ["KnownFeatures", "write_known"]

_ROW = np.dtype([("item", "<i4"), ("code", "<i4"), ("weight", "<f4")])


def write_known(path: Path, rows: FeatureRows) -> None:
    """Write the features of catalogue ids 0 to V, of which 0, padding, has none."""
    found = np.empty(len(rows.codes), dtype=_ROW)
    found["item"] = np.repeat(np.arange(len(rows)), rows.counts)
    found["code"], found["weight"] = rows.codes, rows.weights
    np.save(path, found, allow_pickle=False)


class KnownFeatures:
    """The features of one bundle's items."""

    def __init__(self, bundle: Bundle) -> None:
        """BundleError `bad_known` for a bundle without them, or whose file can't be read."""
        if bundle.known_path is None or bundle.features is None:
            raise BundleError("bad_known", f"model {bundle.version} does not say which features its items had")
        path = bundle.known_path
        try:
            found = one_at_a_time(lambda: np.load(path, mmap_mode="r", allow_pickle=False))
        except Exception as error:  # a damaged header raises whatever Python's tokenizer and numpy come across
            raise BundleError("bad_known", f"{bundle.known_path}: {error}") from error
        size = len(bundle.vocabulary)
        if found.dtype != _ROW or found.ndim != 1:
            raise BundleError("bad_known", f"{bundle.known_path} must hold rows of {_ROW.names}")
        items, codes = np.array(found["item"]), np.array(found["code"])
        if len(found) and not (items[0] >= 1 and items[-1] <= size and (np.diff(items) >= 0).all()):
            raise BundleError("bad_known", f"{bundle.known_path} must have rows of items 1 to {size}, ascending")
        if len(found) and not (codes.min() >= 1 and codes.max() < bundle.features.size):
            raise BundleError("bad_known", f"{bundle.known_path} has features that the model does not have")
        self._codes, self._weights = codes.astype(np.int64), np.array(found["weight"])
        self._offsets = np.concatenate([[0], np.cumsum(np.bincount(items, minlength=size + 1))])  # (V + 2,)

    def of(self, ids: Sequence[int]) -> FeatureRows:
        """Return the features of catalogue ids, in their order."""
        chosen = np.array(ids, dtype=np.int64)
        lengths = self._offsets[chosen + 1] - self._offsets[chosen]
        places = joined(self._offsets[chosen], lengths)
        return FeatureRows(np.concatenate([[0], np.cumsum(lengths)]), self._codes[places], self._weights[places])

    def are(self, item: int, codes: Sequence[int], weights: Sequence[float]) -> bool:
        """Tell whether a catalogue id had these features, in whatever order."""
        start, end = self._offsets[item], self._offsets[item + 1]
        if end - start != len(codes):
            return False
        had = sorted(zip(self._codes[start:end].tolist(), self._weights[start:end].tolist(), strict=True))
        return had == sorted(zip(codes, map(_single, weights), strict=True))


@cache
def _single(weight: float) -> float:
    """Return a weight as the file has it; there are 256 different ones."""
    return float(np.float32(weight))
