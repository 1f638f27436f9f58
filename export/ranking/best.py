"""The best columns of some rows of scores, a lot faster than by sorting them, and in one order whatever is asked for.

Q rows, C columns, D columns wanted. The columns are laid into groups; the best D of a row stand in the D groups with
the largest maxima, and finding those takes one pass over the scores.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Best", "best"]

_GROUP = 32  # columns


class Best(NamedTuple):
    """The D best columns of each row, best first; of equal ones the first column first."""

    columns: NDArray[np.int64]  # (Q, D)
    scores: NDArray[np.float32]  # (Q, D)
    bound: NDArray[np.float32]  # (Q,) all other columns score less; -inf: nothing, or there are none


def best(scores: NDArray[np.float32], depth: int) -> Best:
    """Return the best `depth` columns of each row (Q, C), fewer where C is less."""
    width = scores.shape[1]
    depth = min(depth, width)
    if 2 * depth * _GROUP >= width:
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    else:
        some = _columns(scores, depth)  # (Q, D x group)
        found = np.take_along_axis(scores, some, 1)
        near = np.argpartition(-found, depth - 1, axis=1)[:, :depth]
        order = np.take_along_axis(some, near, 1)
        order = np.take_along_axis(order, np.lexsort((order, -np.take_along_axis(scores, order, 1)), axis=1), 1)
    found = np.take_along_axis(scores, order, 1)
    return Best(order, found, _bound(found, whole=depth == width))


def _columns(scores: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Return the columns of those groups that hold the best."""
    rows, width = scores.shape
    groups = width // _GROUP  # of columns `groups` apart, so that the pass goes along the memory
    laid = scores[:, : groups * _GROUP].reshape(rows, _GROUP, groups)
    chosen = np.argpartition(-laid.max(axis=1), depth - 1, axis=1)[:, :depth]  # (Q, D)
    there = chosen[:, :, None] + groups * np.arange(_GROUP)  # (Q, D, group)
    rest = np.broadcast_to(np.arange(groups * _GROUP, width), (rows, width - groups * _GROUP))
    return np.concatenate([there.reshape(rows, -1), rest], axis=1)


def _bound(found: NDArray[np.float32], *, whole: bool) -> NDArray[np.float32]:
    """What is as good as the last one may stand among the others: it is left to who asks for more."""
    if whole or not found.shape[1]:
        return np.full(len(found), -np.inf, np.float32)
    last = found[:, -1]
    return np.where(last == -np.inf, last, np.nextafter(last, np.float32(np.inf)))
