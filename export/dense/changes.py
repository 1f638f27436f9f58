"""What a layer behind a network changes in a session's scores, compiled: which items, by how much, one by one.

Only what the newest clicks' counts know and what the session holds changes (`export/graph/after.py` has the formula):
some hundred items. A bit for each in a set of all items says where it stands among them: so many bits are before it.

B sessions, L positions, D room for changed items, N neighbours an item, n newest clicks that count, V items,
C candidates, X fresh items.
"""

from typing import Any

import numpy as np

from export.dense.kernel import place_of
from export.dense.products import BLOCK
from export.scan.compiled import compiled
from export.scan.lookup import ones

__all__ = ["change", "change_fresh", "changed_score", "gather"]

_OVERFLOWS = 80.0  # a score as far above the norm is not mixed


@compiled()
def _bit(place: int) -> Any:
    return np.uint64(1) << np.uint64(place % BLOCK)


@compiled()
def _rank(marked: Any, before: Any, place: int) -> int:
    """Return how many bits stand before a place's, of which `before` (N / 64,) are in earlier blocks."""
    block = place // BLOCK
    return int(before[block] + ones(marked[block] & (_bit(place) - np.uint64(1))))


@compiled()
def _met(ids: Any, session: int, first: int, last: int, wanted: int) -> int:
    """Return the place of an id among those from `first` to `last`, in whatever order; `last` where it is not."""
    for at in range(first, last):
        if ids[session, at] == wanted:
            return at
    return last


@compiled(
    "void(int32[:,::1], Array(int32, 2, 'C', True), Array(float32, 2, 'C', True), int64[::1], float32[::1],"
    " float32[:,::1], float32[::1], int64, int32[:,::1], float32[:,::1], float32[:,::1], int64[::1], int64[::1])"
)
def gather(
    rows: Any, neighbours: Any, weights: Any, reads: Any, shares: Any, biases: Any, again: Any, items: int, ids: Any,
    counted: Any, bias: Any, sizes: Any, known: Any,
) -> None:  # fmt: skip
    """Write the items of each session that change, in order: ids, c and b (B, D), how many, and how many of them
    are of the catalogue: ids above V are of fresh items, which come last.

    rows (B, L) right-padded; neighbours and weights (V + 1, N), best first; reads, shares (n,): neighbours read of each
    of the newest clicks, and d^t. biases (1, L) of an item by the clicks since, or no row where sessions' items have
    none; again (L,) what is added by how often it was clicked, once first.
    """
    times = np.empty(ids.shape[1], np.int64)  # how often the session has each
    marked = np.zeros(-(-items // BLOCK), np.uint64)  # a bit an item
    before = np.empty(marked.shape[0], np.int64)
    for session in range(rows.shape[0]):
        length = rows.shape[1]
        while length > 0 and rows[session, length - 1] == 0:
            length -= 1
        newest, held = min(length, shares.shape[0]), length if biases.shape[0] else 0
        total = np.float32(0.0)
        for back in range(newest):
            total += shares[back]
        for back in range(newest):
            click = rows[session, length - 1 - back]
            for at in range(reads[back] if click <= items else 0):
                place = neighbours[click, at] - 1
                if place < 0:
                    break
                marked[place // BLOCK] |= _bit(place)
        for at in range(held):
            place = rows[session, at] - 1
            if place < items:
                marked[place // BLOCK] |= _bit(place)
        count = 0
        for block in range(marked.shape[0]):
            before[block] = count
            count += ones(marked[block])
        for at in range(count):
            counted[session, at], bias[session, at], times[at] = 0.0, 0.0, 0
        for back in range(newest):
            click, share = rows[session, length - 1 - back], shares[back] / total
            for at in range(reads[back] if click <= items else 0):
                item = neighbours[click, at]
                if item == 0:
                    break
                rank = _rank(marked, before, item - 1)
                ids[session, rank] = item
                counted[session, rank] += weights[click, at] * share
        size = count
        for back in range(held):  # the newest first
            item = rows[session, length - 1 - back]
            if item <= items:
                rank = _rank(marked, before, item - 1)
            else:
                rank = _met(ids, session, count, size, item)
                if rank == size:
                    counted[session, rank], times[rank] = 0.0, 0
                    size += 1
            ids[session, rank] = item
            if times[rank] == 0:
                bias[session, rank] = biases[0, back]
            times[rank] += 1
        for at in range(size if held else 0):
            if times[at] > 1:
                bias[session, at] += again[times[at] - 1]
        sizes[session], known[session] = size, count
        for at in range(count):
            marked[(ids[session, at] - 1) // BLOCK] = np.uint64(0)


@compiled()
def changed_score(found: Any, counted: Any, bias: Any, norm: Any, weight: Any) -> Any:
    """Return what becomes of a score by the layer's formula."""
    value = np.float64(found)
    if counted > 0.0 and value - norm < _OVERFLOWS:
        value = norm + np.log(np.exp(value - norm) + weight * np.float64(counted))
    return np.float32(value + np.float64(bias))


@compiled(
    "void(int32[::1], int64, int32[:,::1], float32[:,::1], float32[:,::1], int64[::1], int64[::1], float64[::1],"
    " float64, float32[:,::1])"
)
def change(
    wanted: Any, items: int, ids: Any, counted: Any, bias: Any, sizes: Any, known: Any, norms: Any, weight: float,
    scores: Any,
) -> None:  # fmt: skip
    """Change the scores (B, C) of candidates by their ids (C,), where they are among those that change."""
    for session in range(ids.shape[0]):
        count, size = known[session], sizes[session]
        for column in range(wanted.shape[0]):
            item = wanted[column]
            at = place_of(ids, session, count, item) if item <= items else _met(ids, session, count, size, item)
            if 0 <= at < size:
                scores[session, column] = changed_score(
                    scores[session, column], counted[session, at], bias[session, at], norms[session], weight
                )


@compiled("void(int32[:,::1], float32[:,::1], int64[::1], int64, float32[:,::1])")
def change_fresh(ids: Any, bias: Any, sizes: Any, items: int, scores: Any) -> None:
    """Add the bias of the fresh items that sessions hold to scores (B, X)."""
    for session in range(ids.shape[0]):
        for at in range(sizes[session]):
            column = ids[session, at] - items - 1
            if 0 <= column < scores.shape[1]:
                scores[session, column] += bias[session, at]
