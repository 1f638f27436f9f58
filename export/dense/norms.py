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
from export.scan.compiled import compiled

__all__ = ["norms_of"]

_HEAVY = 1.0 / 64.0  # of the sum, for one item; so there are some dozens at most


@compiled(
    "void(uint8[:,:,:,::1], float32[:,:,::1], int64, int64[::1], int64[::1], float32[:,::1], int64, int64,"
    " float32[:,::1], float64, float64[::1])"
)
def norms_of(
    blocks: Any,
    factors: Any,
    items: int,
    parts: Any,
    widths: Any,
    vectors: Any,
    way: int,
    levels: int,
    masses: Any,
    largest: float,
    norms: Any,
) -> None:
    """Write the logs of the sums of masses (B, N / 64) that `scan` wrote, heavy items by their exact scores.

    They are at most `largest` and at least the negative of it. The masses are not changed.
    """
    fours = blocks.shape[1]
    bytes_, sums = np.zeros(4 * fours, np.int8), np.empty((1, BLOCK), np.int32)
    zeros, numbers = np.zeros(1, np.int32), np.zeros((1, 3), np.float32)
    for session in range(vectors.shape[0]):
        total = 0.0
        for block in range(masses.shape[1]):
            total += np.float64(masses[session, block])
        least, rounded, change = total * _HEAVY, False, 0.0
        if not 0.0 < total < np.exp(largest):
            norms[session] = largest if total > 0.0 else -largest
            continue
        for block in range(masses.shape[1]):
            if masses[session, block] < least:
                continue
            if not rounded:
                round_session(vectors[session], levels, bytes_, zeros, numbers, 0)
                rounded = True
            address = blocks.ctypes.data + block * fours * 4 * BLOCK
            if way == VNNI:
                vnni_one(address, bytes_.ctypes.data, fours, sums.ctypes.data)
            else:
                paired_one(address, bytes_.ctypes.data, fours, sums.ctypes.data)
            own = vectors.ctypes.data + 4 * session * vectors.shape[1]
            heavy = np.log2(least)
            for lane in range(min(BLOCK, items - block * BLOCK)):
                power = factors[block, 0, lane] * np.float32(sums[0, lane] - zeros[0]) * numbers[0, 2]
                if power >= heavy:
                    exact = np.float64(score(parts, widths, block * BLOCK + lane, own))
                    change += np.exp(exact) - np.exp2(np.float64(power))
        norms[session] = min(max(np.log(total + change), -largest), largest)
