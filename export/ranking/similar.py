"""How much the items of a model are alike: the cosine of their vectors.

The vectors lie in the bundle (`vectors.npy`): unit vectors of catalogue ids 1..V, float16, (V, H), mapped into memory.
Those of a coded model are put together from its codes, some at a time.
They are what items score by, so that items are alike which the same sessions lead to. What lists are made of the
cosines, a shop's policy says (`export/policy/similar.py`).

V items, H hidden, Q items asked about at once.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.vocabulary import PAD
from export.errors import BundleError, ConfigError
from export.npy import one_at_a_time

__all__ = ["Similar", "write_vectors"]

_HELD = 1 << 26  # numbers of a float32 copy of the vectors that is kept, 256 MB
_BLOCK = 65_536  # vectors copied at a time, where there are more


def write_vectors(path: Path, vectors: NDArray[np.floating]) -> None:
    """Write the vectors (V, H) of catalogue ids 1..V, of any length, as a bundle has them."""
    np.save(path, _unit(vectors).astype(np.float16), allow_pickle=False)


class Similar:
    """The vectors of one bundle's items."""

    def __init__(self, bundle: Bundle) -> None:
        """ConfigError for a bundle without vectors; BundleError `bad_vectors` for one whose vectors can't be read."""
        self.bundle, self.vocabulary = bundle, bundle.vocabulary
        self._vectors = None if bundle.vectors_path is None else _mapped(bundle.vectors_path, len(bundle.vocabulary))
        if self._vectors is None and bundle.codes is None:
            raise ConfigError(
                f"model {bundle.version} has no vectors of its items, as it was exported by an earlier release: train "
                "a new version"
            )
        self._held: NDArray[np.float32] | None = None  # made when it is first asked for

    @property
    def version(self) -> str:
        """The model's version."""
        return self.bundle.version

    def cosines(self, asked: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the cosines (Q, V + 1) of some catalogue ids (Q,) with all, by catalogue id; 0 in column 0.

        They are in -1..1, which products of rounded vectors are not quite.
        """
        if len(asked) == 1:  # one row is multiplied by another routine, whose last bits differ: a list would look new
            return self.cosines(np.repeat(asked, 2))[:1]
        queries, items = self._unit(asked - (PAD + 1)), len(self.vocabulary)  # (Q, H)
        if items * queries.shape[1] <= _HELD:
            found: NDArray[np.float32] = queries @ self._whole().T  # (Q, H) x (H, V + 1) -> (Q, V + 1)
        else:
            found = np.empty((len(asked), items + 1), dtype=np.float32)
            for start in range(0, items, _BLOCK):
                block = self._unit(np.arange(start, min(start + _BLOCK, items)))
                found[:, PAD + 1 + start : PAD + 1 + start + len(block)] = queries @ block.T
            found[:, PAD] = 0.0
        return np.clip(found, -1.0, 1.0, out=found)

    def _whole(self) -> NDArray[np.float32]:
        if self._held is None:
            vectors = self._unit(np.arange(len(self.vocabulary)))
            self._held = np.concatenate([np.zeros_like(vectors[:1]), vectors])
        return self._held

    def _unit(self, places: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the unit vectors (n, H) of places 0..V-1."""
        if self._vectors is not None:
            unit: NDArray[np.float32] = self._vectors[places].astype(np.float32)
            return unit
        assert self.bundle.codes is not None
        return _unit(self.bundle.codes.vectors(places + (PAD + 1)))


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[Any] = vectors / np.where(lengths > 0, lengths, 1.0)
    return unit


def _mapped(path: Path, items: int) -> NDArray[np.float16]:
    """BundleError `bad_vectors` for a file that doesn't hold the vectors of so many items."""
    try:
        vectors: NDArray[np.float16] = one_at_a_time(lambda: np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # a damaged header raises whatever Python's tokenizer and numpy come across
        raise BundleError("bad_vectors", f"{path}: {error}") from error
    if vectors.ndim != 2 or len(vectors) != items or vectors.dtype != np.float16:
        raise BundleError("bad_vectors", f"{path} must hold {items} float16 vectors")
    if not np.isfinite(vectors).all():
        raise BundleError("bad_vectors", f"{path} holds values that are no numbers")
    return vectors
