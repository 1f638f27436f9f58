"""The layout that the scan reads: items in blocks of 64, a block's bytes column by column.

N items, m codes an item, R bytes an item: m, or half as many where codes are of 4 bits.
"""

import numpy as np
from numpy.typing import NDArray

from export.bundle.files import leave_in_file
from export.gently import rest

__all__ = ["LANES", "in_blocks"]

LANES = 64  # items of a block
_AT_ONCE = 1_024  # blocks


def in_blocks(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Return codes (N, m) as (ceil(N / 64), R, 64); the last block is filled up with zeros.

    Codes that are mapped from a file stay there: what was read of them is given back part by part.

    Of 4-bit codes, byte r of an item holds code 2r in its lower half and code 2r + 1 in its upper one.
    """
    items, splits = codes.shape
    rows = splits if bits == 8 else -(-splits // 2)
    blocks = np.zeros((-(-items // LANES), rows, LANES), dtype=np.uint8)
    for start in range(0, len(blocks), _AT_ONCE):
        part = codes[start * LANES : (start + _AT_ONCE) * LANES]
        packed = part if bits == 8 else part[:, ::2].copy()
        if bits == 4:
            packed[:, : splits // 2] |= part[:, 1::2] << 4
        whole = len(part) // LANES
        blocks[start : start + whole] = packed[: whole * LANES].reshape(whole, LANES, rows).transpose(0, 2, 1)
        if left := len(part) - whole * LANES:
            blocks[start + whole, :, :left] = packed[whole * LANES :].T
        leave_in_file(codes)
        rest()
    return blocks
