"""The dense scan, compiled: candidates by products of bytes and a bound, then exact products in fp32.

An item's vector is x = s X + r with bytes X, a session's q = t Q + p with bytes Q. So
|x q - s t X Q| <= |s X| |p| + |r| |q|, and an item's score lies within that of s t X Q. What scores surely as much as
the K-th best so far, or may, is kept; in the end those that may still be in the list, some dozens, are multiplied in
fp32. All bounds hold what fp32 rounds too (`export/dense/rounding.py`). Scores are compared divided by t.

B sessions, N items, H hidden, G = ceil(H / 4) fours of bytes, K places, C room for candidates, P parts of a vector.
"""

from typing import Any

import numpy as np

from export.dense.masses import mass
from export.dense.products import (
    BLOCK,
    HAS_AVX2,
    HAS_VNNI,
    TOGETHER,
    ask_ahead,
    exact,
    paired,
    paired_one,
    passing,
    vnni,
    vnni_one,
)
from export.dense.rounding import DOUBLINGS, round_session
from export.scan.compiled import FIRST, compiled
from export.scan.lists import enter, is_excluded, put_in_order
from export.scan.lookup import lowest

__all__ = [
    "BLOCK",
    "LEVELS",
    "VNNI",
    "WAYS",
    "collect",
    "displace",
    "enter_better",
    "finish",
    "first_from",
    "multiply",
    "multiply_some",
    "place_of",
    "scan",
    "score",
    "ways",
]

VNNI, PAIRED = 0, 1
WAYS = {"vnni": VNNI, "avx2": PAIRED}
LEVELS = {"vnni": 127, "avx2": 63}  # the largest byte of a session
_UP = np.float32(1e-6)  # more than fp32 rounds of a product
_AHEAD = 4  # candidates whose vectors are asked for before they are multiplied
_AT_ONCE = 32  # blocks that all sessions are multiplied with in turn


def ways() -> tuple[str, ...]:
    """Return how this processor can multiply bytes, the fastest first; none on one without AVX2."""
    return *("vnni",) * HAS_VNNI, *("avx2",) * HAS_AVX2


@compiled()
def displace(sure: Any, session: int, score: Any) -> None:
    """Put a score in the place of the least, which is at the root."""
    size, at = sure.shape[1], 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and sure[session, below + 1] < sure[session, below]:
            below += 1
        if sure[session, below] >= score:
            break
        sure[session, at] = sure[session, below]
        at = below
    sure[session, at] = score


@compiled()
def _keep(most: Any, places: Any, session: int, count: int, least: Any) -> int:
    """Drop the candidates that can't score `least`; how many are left."""
    kept = 0
    for at in range(count):
        if most[session, at] >= least:
            most[session, kept], places[session, kept] = most[session, at], places[session, at]
            kept += 1
    return kept


@compiled()
def score(parts: Any, widths: Any, place: int, address: int) -> Any:
    """Return the fp32 score of an item: part by part, each as `exact` adds up.

    parts: addresses of tables (V + 1, W); address: of a session's vector (H,).
    """
    total = np.float32(0.0)
    for part in range(parts.shape[0]):
        bytes_ = 4 * widths[part]
        total += exact(parts[part] + (place + 1) * bytes_, address, widths[part])
        address += bytes_
    return total


@compiled()
def _take(
    bits: Any, sums: Any, one: int, factors: Any, block: int, items: int, zero: Any, lost: Any, length: Any,
    excluded: Any, begin: int, end: int, session: int, sure: Any, most: Any, places: Any, count: int,
) -> int:  # fmt: skip
    """Take the items of a block that passed among a session's candidates; their number, -1 where there is no room.

    Arrays are given whole: numba counts who holds a slice of one, which takes longer than this does.
    """
    while bits != np.uint64(0):
        lane = lowest(bits)
        bits &= bits - np.uint64(1)
        place = block * BLOCK + lane
        if place >= items:
            break
        middle = factors[block, 0, lane] * np.float32(sums[one, lane] - zero)
        rest = factors[block, 1, lane] * lost + factors[block, 2, lane] * length
        if middle + rest < sure[session, 0] or is_excluded(excluded, begin, end, place):
            continue
        if count == places.shape[1]:
            count = _keep(most, places, session, count, sure[session, 0])
            if 2 * count > places.shape[1]:
                return -1
        most[session, count], places[session, count] = middle + rest, place
        count += 1
        if middle - rest > sure[session, 0]:
            displace(sure, session, middle - rest)
    return count


@compiled()
def _last_mass(sums: Any, one: int, factors: Any, block: int, items: int, zero: Any, unit: Any) -> Any:
    """Return the sum of exp over the items of the last block, which may have fewer than 64."""
    total = np.float32(0.0)
    for lane in range(items - block * BLOCK):
        total += np.float32(np.exp2(factors[block, 0, lane] * np.float32(sums[one, lane] - zero) * unit))
    return total


@compiled()
def place_of(ids: Any, session: int, count: int, wanted: int) -> int:
    """Return where an id stands among the first `count` of a session's ids (B, D), which are in order, or -1."""
    low, high = first_from(ids, session, count, wanted), count
    return low if low < high and ids[session, low] == wanted else -1


@compiled()
def first_from(ids: Any, session: int, count: int, wanted: int) -> int:
    """Return where the first id stands that is not below `wanted`."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ids[session, middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@compiled()
def _pass_over(
    hidden: Any, known: int, sums: Any, one: int, factors: Any, block: int, zero: Any, lost: Any, length: Any,
    reach: Any, session: int, met: Any,
) -> Any:  # fmt: skip
    """Write what the hidden items of a block may score at most, divided by t; their bits."""
    at, bits = met[session, 1], np.uint64(0)
    while at < known and (hidden[session, at] - 1) // BLOCK == block:
        lane = (hidden[session, at] - 1) % BLOCK
        middle = factors[block, 0, lane] * np.float32(sums[one, lane] - zero)
        rest = factors[block, 1, lane] * lost + factors[block, 2, lane] * length
        reach[session, at] = middle + rest
        bits |= np.uint64(1) << np.uint64(lane)
        at += 1
    met[session, 1] = at
    met[session, 2] = (hidden[session, at] - 1) // BLOCK if at < known else -1
    return bits


@compiled()
def enter_better(scores: Any, places: Any, score: Any, place: int) -> None:
    """Put an item into a list, the worst of which is at the root, if it is better."""
    if score > scores[0] or (score == scores[0] and place < places[0]):
        enter(scores, places, score, place)


@compiled()
def multiply_some(parts: Any, widths: Any, address: int, places: Any, row: int, count: int, found: Any) -> None:
    """Write the scores of the first `count` of a row of places (B, C)."""
    for at in range(count):
        if at + _AHEAD < count:
            ahead = np.int64(places[row, at + _AHEAD])
            for part in range(parts.shape[0]):
                ask_ahead(parts[part] + (ahead + 1) * 4 * widths[part], 4 * widths[part])
        found[at] = score(parts, widths, np.int64(places[row, at]), address)


@compiled()
def finish(
    parts: Any, widths: Any, vectors: Any, session: int, first: int, last: int, excluded: Any, begin: int, end: int,
    hidden: Any, known: int, least: Any, most: Any, candidates: Any, count: int, found: Any, scores: Any, places: Any,
) -> None:  # fmt: skip
    """Put those candidates into a list that can score `least`; or, where there were too many, all items from `first`
    to `last`. The worst of the list is at the root."""
    address = vectors.ctypes.data + 4 * session * vectors.shape[1]
    for place in range(first, last if count < 0 else first):
        if not is_excluded(excluded, begin, end, place) and place_of(hidden, session, known, place + 1) < 0:
            enter_better(scores, places, score(parts, widths, place, address), place)
    some = _keep(most, candidates, session, count, least)
    multiply_some(parts, widths, address, candidates, session, some, found)
    for at in range(some):
        enter_better(scores, places, found[at], np.int64(candidates[session, at]))


@compiled()
def collect(
    blocks: Any, factors: Any, first: int, last: int, items: int, vectors: Any, way: int, levels: int, excluded: Any,
    starts: Any, hidden: Any, known: Any, reach: Any, masses: Any, room: int, k: int,
) -> Any:  # fmt: skip
    """Return what `scan` chooses from: scores (B, K) that the best surely have, the least first; what candidates score
    at most, and their places (B, C); how many they are (B,), -1 for too many; and t (B,). All are divided by t."""
    sessions, fours = vectors.shape[0], blocks.shape[1]
    padded = -(-sessions // TOGETHER) * TOGETHER
    bytes_ = np.zeros((padded, 4 * fours), np.int8)
    zeros, numbers = np.zeros(padded, np.int32), np.zeros((padded, 3), np.float32)
    sure = np.full((sessions, k), np.float32(-np.inf))  # what the best are sure to score, the least first
    most, candidates = np.empty((sessions, room), np.float32), np.empty((sessions, room), np.int32)
    counts, met = np.zeros(sessions, np.int64), np.full((sessions, 3), -1)
    sums = np.empty((TOGETHER, BLOCK), np.int32)
    for session in range(sessions):
        round_session(vectors[session], levels, bytes_[session], zeros, numbers, session)
        met[session, :2] = first_from(hidden, session, known[session], first * BLOCK + 1)
        if met[session, 0] < known[session]:
            met[session, 2] = (hidden[session, met[session, 0]] - 1) // BLOCK
    block_bytes, factor_bytes, session_bytes = fours * 4 * BLOCK, 3 * 4 * BLOCK, 4 * fours
    for start in range(first, last, _AT_ONCE):
        for group in range(0, sessions, TOGETHER):
            several = min(TOGETHER, sessions - group)
            for block in range(start, min(last, start + _AT_ONCE)):
                address = blocks.ctypes.data + block * block_bytes
                own = bytes_.ctypes.data + group * session_bytes
                if several == 1:
                    if way == VNNI:
                        vnni_one(address, own, fours, sums.ctypes.data)
                    else:
                        paired_one(address, own, fours, sums.ctypes.data)
                elif way == VNNI:
                    vnni(address, own, fours, sums.ctypes.data)
                else:
                    paired(address, own, fours, sums.ctypes.data)
                for one in range(several):
                    session = group + one
                    lost, length, least = numbers[session, 0], numbers[session, 1], sure[session, 0]
                    own, row = sums.ctypes.data + one * 4 * BLOCK, factors.ctypes.data + block * factor_bytes
                    if masses.shape[1] and (block + 1) * BLOCK <= items:  # together, as they have much in common
                        weight = mass(own, row, zeros[session], numbers[session, 2])
                        bits = passing(own, row, zeros[session], lost, length, least)
                        masses[session, block] = weight
                    else:
                        bits = passing(own, row, zeros[session], lost, length, least)
                        if masses.shape[1]:
                            masses[session, block] = _last_mass(
                                sums, one, factors, block, items, zeros[session], numbers[session, 2]
                            )
                    if met[session, 2] == block:
                        bits &= ~_pass_over(
                            hidden, known[session], sums, one, factors, block, zeros[session], lost, length, reach,
                            session, met,
                        )  # fmt: skip
                    if bits != np.uint64(0) and counts[session] >= 0:
                        counts[session] = _take(
                            bits, sums, one, factors, block, items, zeros[session], lost, length, excluded,
                            starts[session], starts[session + 1], session, sure, most, candidates, counts[session],
                        )  # fmt: skip
    units = numbers[:sessions, 2] / np.float32(DOUBLINGS)
    for session in range(sessions):
        for at in range(met[session, 0], met[session, 1]):
            value = reach[session, at] * units[session]
            reach[session, at] = value + abs(value) * _UP
    return sure, most, candidates, counts, units


@compiled(
    "void(uint8[:,:,:,::1], float32[:,:,::1], int64, int64, int64, int64[::1], int64[::1], float32[:,::1], int64,"
    " int64, int32[::1], int64[::1], int32[:,::1], int64[::1], float32[:,::1], float32[:,::1], int64, float32[:,::1],"
    " int32[:,::1])"
)
def scan(
    blocks: Any, factors: Any, first: int, last: int, items: int, parts: Any, widths: Any, vectors: Any, way: int,
    levels: int, excluded: Any, starts: Any, hidden: Any, known: Any, reach: Any, masses: Any, room: int, scores: Any,
    places: Any,
) -> None:  # fmt: skip
    """Bring the best of the items in blocks `first` to `last` into scores and places (B, K), best first.

    vectors (B, H), finite; places count from 0. excluded: ascending places, those of session b at starts[b] to
    starts[b + 1]; hidden: more of them, by ids in order (B, D), of which the first known (B,) mean
    something; reach (B, D): what those may score at most. masses (B, N / 64), or (B, 0): of each
    block the sum of exp of its scores as rounded. room: candidates a session may have before all items are multiplied.
    scores are all -inf and places beyond all items before; so are the last of them after, where fewer than K items are
    left. Of equal scores the lower place comes first.
    """
    sure, most, candidates, counts, _ = collect(
        blocks, factors, first, last, items, vectors, way, levels, excluded, starts, hidden, known, reach, masses,
        room, scores.shape[1],
    )  # fmt: skip
    found = np.empty(room, np.float32)
    for session in range(vectors.shape[0]):
        least = np.float64(sure[session, 0])
        finish(
            parts, widths, vectors, session, first * BLOCK, min(items, last * BLOCK), excluded, starts[session],
            starts[session + 1], hidden, known[session], least, most, candidates, counts[session], found,
            scores[session], places[session],
        )  # fmt: skip
        put_in_order(scores[session], places[session])


@compiled("void(int64[::1], int64[::1], float32[:,::1], int32[::1], float32[:,::1])")
def multiply(parts: Any, widths: Any, vectors: Any, places: Any, scores: Any) -> None:
    """Write the scores (B, C) of some items by their places (C,)."""
    row, size = places.reshape((1, places.shape[0])), places.shape[0]
    for session in range(vectors.shape[0]):
        address = vectors.ctypes.data + 4 * session * vectors.shape[1]
        multiply_some(parts, widths, address, row, FIRST, size, scores[session])
