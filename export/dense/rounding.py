"""Vectors as bytes, compiled: those of items once, a session's for each list.

H hidden, N items, G = ceil(H / 4) fours of bytes.
"""

from typing import Any

import numpy as np

from export.dense.products import BLOCK
from export.scan.compiled import compiled

__all__ = ["DOUBLINGS", "round_items", "round_session"]

_CENTRE, _LARGEST = 128, 127  # an item's bytes are 1..255 about 128
_FP32 = 6.0e-8  # a little more than half a unit in the last place
_UP = 1.000001
_TINY = 1e-30
DOUBLINGS = 1.4426950408889634  # of exp(1): log2(e)


@compiled("void(float32[:,::1], int64, uint8[:,:,:,::1], float32[:,:,::1])")
def round_items(rows: Any, first: int, blocks: Any, factors: Any) -> None:
    """Write bytes and factors of items (n, H), the places from `first` on, into (N / 64, G, 64, 4) and (N / 64, 3, 64).

    Factors are s, |s X| and |r|, the last with all that fp32 may round wherever the item is scored.
    """
    width = rows.shape[1]
    rounded = (2.0 * width + 64.0) * _FP32
    levels = np.empty(width, np.float64)
    for number in range(rows.shape[0]):
        largest = np.float32(_TINY)
        for place in range(width):
            largest = max(largest, abs(rows[number, place]))
        scale = np.float32(largest / np.float32(_LARGEST))
        unit, kept, lost, whole = np.float64(scale), 0.0, 0.0, 0.0
        inverse = 1.0 / unit
        for place in range(width):
            levels[place] = min(max(np.floor(rows[number, place] * inverse + 0.5), -_LARGEST), _LARGEST)
        for place in range(width):
            value, near = np.float64(rows[number, place]), levels[place] * unit
            kept += near * near
            lost += (value - near) * (value - near)
            whole += value * value
        block, lane = (first + number) // BLOCK, (first + number) % BLOCK
        for place in range(width):
            blocks[block, place >> 2, lane, place & 3] = np.uint8(int(levels[place]) + _CENTRE)
        factors[block, 0, lane] = scale
        factors[block, 1, lane] = np.sqrt(kept) * _UP
        factors[block, 2, lane] = (np.sqrt(lost) + np.sqrt(whole) * rounded) * _UP


@compiled()
def round_session(vector: Any, levels: int, into: Any, zeros: Any, numbers: Any, session: int) -> None:
    """Write the bytes Q of a vector q (H,), 128 times their sum, |p| / t, |q| / t, and t in doublings of exp."""
    largest = 0.0
    for place in range(vector.shape[0]):
        largest = max(largest, abs(np.float64(vector[place])))
    unit, lost, whole, total = max(largest, _TINY) / levels, 0.0, 0.0, 0
    for place in range(vector.shape[0]):
        value = np.float64(vector[place]) / unit
        level = min(max(np.floor(value + 0.5), -levels), levels)
        into[place] = np.int8(level)
        total += int(level)
        lost += (value - level) ** 2
        whole += value**2
    zeros[session] = _CENTRE * total
    numbers[session, 0] = np.sqrt(lost) * _UP
    numbers[session, 1] = np.sqrt(whole) * _UP
    numbers[session, 2] = unit * DOUBLINGS
