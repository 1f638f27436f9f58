"""The scan, compiled: exact lists by fp32 sums, most items dismissed by a bound in bytes.

A sum falls short of the largest possible one by what its codes' entries fall short of the largest of their splits.
Those losses are rounded down to bytes, in units such that 254 of them lead just below the list's last score. An item
whose bytes add up to more can't enter the list; every other is added up in fp32. So a list is exact whatever the
tables are: they decide only how many items are added up.

B sessions, N items, R bytes an item has, m splits, C values of a code, K places, E exclusions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.scan.blocks import LANES
from export.scan.compiled import compiled
from export.scan.lists import enter, is_excluded, put_in_order
from export.scan.lookup import (
    HAS_AVX2,
    HAS_VBMI,
    lowest,
    passing_nibbles,
    passing_permuted,
    passing_shuffled,
)

__all__ = ["WAYS", "add_up", "bounds", "scan", "ways"]

PLAIN, SHUFFLED, PERMUTED, NIBBLES = 0, 1, 2, 3  # how a block is looked up; PLAIN: all are added up in fp32
WAYS = {"plain": PLAIN, "shuffled": SHUFFLED, "permuted": PERMUTED, "nibbles": NIBBLES}
_FIRST, _MOST = 8, 64  # blocks after which a list's last score is looked at again: at first, and later
_WORTH = 0.8  # of the loss that 254 units stood for: below, the units are made anew
_UNITS = 254.0
_ROUNDED = 1.0 - 1e-9  # losses are rounded down a little further than fp64 rounds
_FP32 = 1.2e-7  # twice the relative error of one addition
_TINY = 1e-30


def ways(bits: int) -> tuple[str, ...]:
    """Return how this processor can look up codes of so many bits, the fastest first."""
    if bits == 4:
        return *("nibbles",) * HAS_AVX2, "plain"
    return *("permuted",) * HAS_VBMI, *("shuffled",) * HAS_AVX2, "plain"


@compiled()
def _score(blocks: Any, table: Any, block: int, lane: int) -> Any:
    """Return the fp32 sum of one item, split after split."""
    splits = table.shape[0]
    total = np.float32(0.0)
    if splits == blocks.shape[1]:
        for split in range(splits):
            total += table[split, blocks[block, split, lane]]
        return total
    for row in range(blocks.shape[1]):
        both = blocks[block, row, lane]
        total += table[2 * row, both & 15]
        if 2 * row + 1 < splits:
            total += table[2 * row + 1, both >> 4]
    return total


@compiled()
def _better(rows: Any, table: Any, worst: Any, totals: Any) -> Any:
    """Return the bits of the items of a block (R, 64) whose fp32 sums are better than `worst`."""
    splits = table.shape[0]
    totals[:] = np.float32(0.0)
    for split in range(splits):
        entries = table[split]
        if splits == rows.shape[0]:
            for lane in range(LANES):
                totals[lane] += entries[rows[split, lane]]
        else:
            shift = np.uint8(4 * (split & 1))
            for lane in range(LANES):
                totals[lane] += entries[(rows[split >> 1, lane] >> shift) & 15]
    bits = np.uint64(0)
    for lane in range(LANES):
        bits |= np.uint64(totals[lane] > worst) << np.uint64(lane)
    return bits


@compiled()
def _round_down(table: Any, largest: Any, unit: float, into: Any) -> None:
    """Write the losses of a table (m, C) in bytes."""
    splits, values = table.shape
    inverse = _ROUNDED / unit
    for split in range(splits):
        for value in range(values):
            loss = (np.float64(largest[split]) - np.float64(table[split, value])) * inverse
            into[split * values + value] = np.uint8(min(loss, 255.0))


@compiled()
def _scan_one(
    blocks: Any, first: int, last: int, items: int, table: Any, way: int, losses: Any, limit: int,
    most: float, unit: float, excluded: Any, begin: int, end: int, scores: Any, places: Any,
) -> None:  # fmt: skip
    """Take the items of some blocks into one list."""
    rows = blocks.shape[1]
    size = rows * LANES
    address, tables = blocks.ctypes.data + first * size, losses.ctypes.data
    totals = np.empty(LANES, np.float32)
    for block in range(first, last):
        if way == PLAIN:
            bits = _better(blocks[block], table, scores[0], totals)
        elif way == PERMUTED:
            bits = passing_permuted(address, tables, rows, np.uint8(limit))
        elif way == SHUFFLED:
            bits = passing_shuffled(address, tables, rows, np.uint8(limit))
        else:
            bits = passing_nibbles(address, tables, rows, np.uint8(limit))
        address += size
        while bits != np.uint64(0):
            lane = lowest(bits)
            bits &= bits - np.uint64(1)
            place = block * LANES + lane
            if place >= items:
                break
            score = _score(blocks, table, block, lane)
            if score > scores[0] and not is_excluded(excluded, begin, end, place):
                enter(scores, places, score, place)
                if scores[0] > -np.inf:
                    limit = int(min(_UNITS, (most - np.float64(scores[0])) / unit))


@compiled(
    "void(uint8[:,:,::1], int64, int64, int64, float32[:,:,::1], float32[:,::1], float64[::1], int64, int32[::1],"
    " int64[::1], float32[:,::1], int32[:,::1])"
)
def scan(
    blocks: Any, first: int, last: int, items: int, tables: Any, largest: Any, most: Any, way: int, excluded: Any,
    starts: Any, scores: Any, places: Any,
) -> None:  # fmt: skip
    """Bring the best of the items in blocks `first` to `last` into scores and places (B, K), best first.

    blocks (N / 64, R, 64); tables (B, m, C), finite, with `bounds` of them; places count from 0. excluded: ascending
    places, those of session b at starts[b] to starts[b + 1]. scores are all -inf before, and the last of them after,
    where fewer than K items are left. Of equal scores the lower place comes first.
    """
    sessions, splits, values = tables.shape
    losses = np.zeros((sessions, (splits + splits % 2) * values), np.uint8)  # a byte of two codes may have one only
    reach, unit = np.zeros(sessions), np.ones(sessions)
    block, step = first, _FIRST
    while block < last:
        until = min(last, block + step)
        for session in range(sessions):
            limit, worst = 255, scores[session, 0]
            if worst > -np.inf and way != PLAIN:
                loss = max(most[session] - np.float64(worst), _TINY)
                if reach[session] == 0.0 or loss < _WORTH * reach[session]:
                    reach[session], unit[session] = loss, loss / _UNITS
                    _round_down(tables[session], largest[session], unit[session], losses[session])
                limit = int(min(_UNITS, loss / unit[session]))
            _scan_one(
                blocks, block, until, items, tables[session], way if limit < 255 else PLAIN, losses[session], limit,
                most[session], unit[session], excluded, starts[session], starts[session + 1], scores[session],
                places[session],
            )  # fmt: skip
        block, step = until, min(_MOST, 2 * step)
    for session in range(sessions):
        put_in_order(scores[session], places[session])


def bounds(tables: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the largest entry of each split (B, m), and what no score in fp32 is above (B,)."""
    largest = tables.max(axis=2)
    magnitude = np.maximum(largest, -tables.min(axis=2)).astype(np.float64)
    rounded = magnitude.sum(axis=1) * tables.shape[1] * _FP32
    return largest, largest.astype(np.float64).sum(axis=1) + rounded


@compiled("void(uint8[:,:,::1], float32[:,:,::1], int32[::1], float32[:,::1])")
def add_up(blocks: Any, tables: Any, places: Any, scores: Any) -> None:
    """Write the scores (B, C) of some items by their places (C,)."""
    for session in range(tables.shape[0]):
        for at in range(places.shape[0]):
            block = np.int64(places[at]) // LANES
            scores[session, at] = _score(blocks, tables[session], block, places[at] - block * LANES)
