"""Vectors of items from what the shop says about them, without their id rows and without torch.

X items, A features of the one that has most, H hidden width of all encoders of the model together.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.errors import BundleError
from export.items.features import FeatureRows, FeatureVocabulary
from export.items.item import Item

__all__ = ["TOWER_INPUTS", "TOWER_OUTPUT", "Embedder", "open_tower"]

TOWER_INPUTS = ("codes", "weights")  # int32 and float32, both (X, A), 0-padded
TOWER_OUTPUT = "vectors"  # float32 (X, H)
_AT_ONCE = 1_024  # items


class Embedder:
    """The item tower of one bundle. `embed` may be called from any thread."""

    def __init__(self, bundle: Bundle) -> None:
        """Open the tower; BundleError `bad_model` where it can't be run, or where the bundle has none."""
        if bundle.features is None or bundle.tower_path is None:
            raise BundleError("bad_model", f"model {bundle.version} has no item tower: train it with --items")
        self.features: FeatureVocabulary = bundle.features
        try:
            self._session = open_tower(bundle.tower_path)
            self.hidden = int(self._session.get_outputs()[0].shape[1])  # H
            self._run(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))
        except Exception as error:  # ONNX Runtime's own exceptions have no common type
            raise BundleError("bad_model", f"the item tower of model {bundle.version} can't be run: {error}") from error

    def embed(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """Return the vectors (X, H) of items in their order."""
        starts = range(0, len(items), _AT_ONCE)
        return self.embed_rows(self.features.encode(items[start : start + _AT_ONCE]) for start in starts)

    def embed_rows(self, parts: Iterable[FeatureRows]) -> NDArray[np.float32]:
        """Return the vectors (X, H) of items whose features are given, some at a time."""
        found = [self._run(codes.astype(np.int32), weights) for codes, weights in (part.padded() for part in parts)]
        return np.concatenate(found) if found else np.empty((0, self.hidden), np.float32)

    def _run(self, codes: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        (vectors,) = self._session.run([TOWER_OUTPUT], dict(zip(TOWER_INPUTS, (codes, weights), strict=True)))
        found: NDArray[np.float32] = vectors
        return found


def open_tower(path: Path) -> Any:
    """Return ONNX Runtime's session of a tower's graph, of one thread: it is small, and the ranker has the cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
