"""Lists of sessions with a layer behind their network, compiled: what changes is put among the list of the rest.

The items that change (`export/dense/changes.py`) are left out of the scan, which says what each may score at most. A
mixed score is at least what counts alone give it. So it is known before anything is multiplied what a list of K needs:
candidates and changed items that can't have it are left out, the others are multiplied in fp32.

B sessions, D room for changed items, V items, K places, C candidates, P parts of a vector.
"""

from typing import Any

import numpy as np

from export.dense.changes import changed_score
from export.dense.kernel import collect, displace, enter_better, finish, multiply_some
from export.dense.norms import norm_of
from export.scan.compiled import FIRST, compiled
from export.scan.lists import is_excluded, put_in_order

__all__ = ["lists", "merge"]

_DOWN = 0.9999  # more than fp32 rounds of a score
_ROUNDED = 1e-6  # more than fp32 rounds of a product


@compiled()
def _highest(reach: Any, session: int, known: int) -> float:
    found = np.float32(-np.inf)
    for at in range(known):
        found = max(found, reach[session, at])
    return np.float64(found)


@compiled()
def _sure(
    sure: Any, session: int, unit: float, ids: Any, counted: Any, bias: Any, known: int, norm: float, weight: float,
    excluded: Any, begin: int, end: int, into: Any,
) -> None:  # fmt: skip
    """Write what the best of all items have at least, as exp of it less the norm, into (1, K), the least first.

    An item that changes has at least what its counts give.
    """
    for at in range(into.shape[1]):
        into[0, at] = np.exp(np.float64(sure[session, at]) * unit - norm)
    for at in range(known):
        counts = weight * np.float64(counted[session, at])
        better = counts > into[0, 0] and bias[session, at] == 0.0
        if better and not is_excluded(excluded, begin, end, ids[session, at] - 1):
            displace(into, FIRST, counts)


@compiled()
def _pick(
    ids: Any, counted: Any, bias: Any, known: int, reach: Any, session: int, norm: float, weight: float,
    excluded: Any, begin: int, end: int, bar: float, which: Any, picked: Any,
) -> int:  # fmt: skip
    """Write which of the items that change may enter a list, and their places, into (D,) and (1, D); their number."""
    count, highest = 0, np.exp(_highest(reach, session, known) - norm)  # what a network's part is at most
    for at in range(known):
        counts = weight * np.float64(counted[session, at])
        if (
            bias[session, at] != 0.0
            or counts >= bar
            or (counts + highest >= bar and counts + np.exp(np.float64(reach[session, at]) - norm) >= bar)
        ):
            place = ids[session, at] - 1
            if not is_excluded(excluded, begin, end, place):
                which[count], picked[0, count] = at, place
                count += 1
    return count


@compiled()
def _mix(
    parts: Any, widths: Any, vectors: Any, session: int, items: int, ids: Any, known: int, counted: Any,
    bias: Any, reach: Any, norm: float, weight: float, excluded: Any, begin: int, end: int, sure: Any, unit: float,
    most: Any, candidates: Any, count: int, scores: Any, places: Any,
) -> None:  # fmt: skip
    """Make a session's list of its candidates and of the items that change: those are multiplied that may enter it.

    sure, most: (B, K) and (B, C) as `collect` returns them, divided by the session's `unit`.
    """
    room = ids.shape[1]
    least, which, picked = np.empty((1, scores.shape[0])), np.empty(room, np.int64), np.empty((1, room), np.int32)
    found = np.empty(max(room, candidates.shape[1]), np.float32)
    _sure(sure, session, unit, ids, counted, bias, known, norm, weight, excluded, begin, end, least)
    bar, own = least[0, 0] * _DOWN, np.float64(sure[session, 0])
    if 0.0 < bar < np.inf:
        raised = (np.log(bar) + norm) / unit
        own = max(own, raised - abs(raised) * _ROUNDED)
    finish(
        parts, widths, vectors, session, FIRST, items, excluded, begin, end, ids, known, own, most, candidates, count,
        found, scores, places,
    )  # fmt: skip
    some = _pick(ids, counted, bias, known, reach, session, norm, weight, excluded, begin, end, bar, which, picked)
    multiply_some(parts, widths, vectors.ctypes.data + 4 * session * vectors.shape[1], picked, FIRST, some, found)
    for number in range(some):
        at = which[number]
        value = changed_score(found[number], counted[session, at], bias[session, at], norm, weight)
        enter_better(scores, places, value, np.int64(picked[0, number]))
    put_in_order(scores, places)


@compiled(
    "void(uint8[:,:,:,::1], float32[:,:,::1], int64, int64[::1], int64[::1], float32[:,::1], int64, int64, int32[::1],"
    " int64[::1], int32[:,::1], int64[::1], float32[:,::1], float32[:,::1], int64, float32[:,::1], float32[:,::1],"
    " float64, float64, float64[::1], float32[:,::1], int32[:,::1])"
)
def lists(
    blocks: Any, factors: Any, items: int, parts: Any, widths: Any, vectors: Any, way: int, levels: int, excluded: Any,
    starts: Any, ids: Any, known: Any, reach: Any, masses: Any, room: int, counted: Any, bias: Any, weight: float,
    largest: float, norms: Any, scores: Any, places: Any,
) -> None:  # fmt: skip
    """Bring the best of all items, changed, into scores and places (B, K), and the norms into (B,).

    ids (B, D): those of the items that change, which are hidden from the scan; all else is as `kernel.scan` takes it.
    """
    sure, most, candidates, counts, units = collect(
        blocks, factors, FIRST, blocks.shape[0], items, vectors, way, levels, excluded, starts, ids, known, reach,
        masses, room, scores.shape[1],
    )  # fmt: skip
    for session in range(vectors.shape[0]):
        norm = 0.0
        if masses.shape[1]:
            norm = norm_of(blocks, factors, items, parts, widths, vectors, session, way, levels, masses, largest)
        _mix(
            parts, widths, vectors, session, items, ids, known[session], counted, bias, reach, norm, weight, excluded,
            starts[session], starts[session + 1], sure, np.float64(units[session]), most, candidates, counts[session],
            scores[session], places[session],
        )  # fmt: skip
        norms[session] = norm


@compiled(
    "void(uint8[:,:,:,::1], float32[:,:,::1], int64, int64[::1], int64[::1], float32[:,::1], int64, int64, int32[::1],"
    " int64[::1], int32[:,::1], int64[::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float64,"
    " float64, float64[::1], float32[:,::1], int32[:,::1], float32[:,::1], int32[:,::1])"
)
def merge(
    blocks: Any, factors: Any, items: int, parts: Any, widths: Any, vectors: Any, way: int, levels: int, excluded: Any,
    starts: Any, ids: Any, known: Any, reach: Any, masses: Any, counted: Any, bias: Any, weight: float, largest: float,
    norms: Any, others: Any, where: Any, scores: Any, places: Any,
) -> None:  # fmt: skip
    """Do what `lists` does with the lists of all other items, scores and places (B, K), the best first."""
    sure = np.ascontiguousarray(others[:, ::-1])
    for session in range(vectors.shape[0]):
        norm, count = 0.0, 0
        if masses.shape[1]:
            norm = norm_of(blocks, factors, items, parts, widths, vectors, session, way, levels, masses, largest)
        while count < others.shape[1] and others[session, count] > -np.inf:
            count += 1
        _mix(
            parts, widths, vectors, session, items, ids, known[session], counted, bias, reach, norm, weight, excluded,
            starts[session], starts[session + 1], sure, 1.0, others, where, count, scores[session], places[session],
        )  # fmt: skip
        norms[session] = norm
