"""The sum of a session's softmax, with what weighs most in it by exact scores, compiled.

Rounded scores are off by a percent or so of their spread, which averages out where many items weigh alike; where few
do, these decide. Which they are follows from the session alone: not from the list that is asked for, nor from company.

B sessions, H hidden, N items, G fours of bytes, P parts of a vector.
"""

from typing import Any

import numpy as np

from export.dense.kernel import BLOCK, VNNI, score
from export.dense.products import paired_one, vnni_one
from export.dense.rounding import round_session
from export.scan.compiled import FIRST, compiled

__all__ = ["norm_of"]

_HEAVY = 1.0 / 64.0  # of the sum, for one item; so there are some dozens at most


@compiled()
def _total(masses: Any, session: int) -> float:
    """Return the sum of a session's masses, of four by turns: one after the other waits for each."""
    blocks = masses.shape[1]
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for block in range(0, blocks - 3, 4):
        first += np.float64(masses[session, block])
        second += np.float64(masses[session, block + 1])
        third += np.float64(masses[session, block + 2])
        fourth += np.float64(masses[session, block + 3])
    for block in range(blocks - blocks % 4, blocks):
        first += np.float64(masses[session, block])
    return (first + second) + (third + fourth)


@compiled()
def norm_of(
    blocks: Any, factors: Any, items: int, parts: Any, widths: Any, vectors: Any, session: int, way: int, levels: int,
    masses: Any, largest: float,
) -> float:  # fmt: skip
    """Return the log of the sum of a session's masses (B, N / 64), which `collect` wrote, heavy items by their exact
    scores; at most `largest`, and at least the negative of it."""
    fours, total = blocks.shape[1], _total(masses, session)
    if not 0.0 < total < np.exp(largest):
        return largest if total > 0.0 else -largest
    bytes_, sums = np.zeros(4 * fours, np.int8), np.empty((1, BLOCK), np.int32)
    zeros, numbers = np.zeros(1, np.int32), np.zeros((1, 3), np.float32)
    least, rounded, change = total * _HEAVY, False, 0.0
    for block in range(masses.shape[1]):
        if masses[session, block] < least:
            continue
        if not rounded:
            round_session(vectors[session], levels, bytes_, zeros, numbers, FIRST)
            rounded = True
        address = blocks.ctypes.data + block * fours * 4 * BLOCK
        if way == VNNI:
            vnni_one(address, bytes_.ctypes.data, fours, sums.ctypes.data)
        else:
            paired_one(address, bytes_.ctypes.data, fours, sums.ctypes.data)
        own, heavy = vectors.ctypes.data + 4 * session * vectors.shape[1], np.log2(least)
        for lane in range(min(BLOCK, items - block * BLOCK)):
            power = factors[block, 0, lane] * np.float32(sums[0, lane] - zeros[0]) * numbers[0, 2]
            if power >= heavy:
                exact = np.float64(score(parts, widths, block * BLOCK + lane, own))
                change += np.exp(exact) - np.exp2(np.float64(power))
    return float(min(max(np.log(total + change), -largest), largest))
