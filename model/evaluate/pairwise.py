"""Pairwise accuracy: is an item that a session wanted scored above one that it skipped or disliked?

Source of the measure: Mei, Bembom & Ehmann, "Negative Feedback for Music Personalization", 2024 (arXiv 2406.04488).

A pair is two items of one session: one it wanted and one it said no to and never wanted. Each stands at the event that
first named it. The session's vector is computed from the events before both: from those with an earlier time than
either, so that nothing of a list that was shown at once is known, and at least one of them wanted. So the model has
seen neither item in the session, and nothing that came with or after them. Ties count half. A session counts as the
share of its pairs that are in order, whatever their number, and the accuracy is the mean over sessions: else the few
who press buttons all day decide.

Legend: T events of the log, N pairs.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker
from model.data.log import SessionLog

__all__ = ["ACCURACY", "MOST_PAIRS", "PAIRS", "Pairs", "Scores", "find_pairs", "pairwise_accuracy", "ranker_scores"]

ACCURACY, PAIRS = "pairwise", "pairs"  # names of the figures
MOST_PAIRS = 1_000  # of a session, evenly over all it has
_PREFIXES = 256  # scored at a time

Ints = NDArray[np.int64]


class Pairs(NamedTuple):
    """All pairs, by session."""

    session: Ints  # (N,)
    end: Ints  # (N,) row of the log: the session's events before it are given
    wanted: NDArray[np.int32]  # (N,) catalogue ids
    unwanted: NDArray[np.int32]  # (N,)


class Scores(Protocol):
    """Scores items after prefixes of sessions."""

    def __call__(self, starts: Ints, ends: Ints, items: NDArray[np.int32], /) -> NDArray[np.float32]:
        """Return (B, C) scores of items (C,) after the events starts[b]..ends[b] - 1 of the log."""
        ...


def find_pairs(log: SessionLog, most: int = MOST_PAIRS) -> Pairs:
    """Return the pairs of a log; none where it does not say what its events are."""
    parts = [_of_session(log, session, most) for session in _with_both(log)]
    if not parts:
        none = np.empty(0, np.int64)
        return Pairs(none, none, none.astype(np.int32), none.astype(np.int32))
    session, end, first, second = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pairs(session, end, log.items[first], log.items[second])


def pairwise_accuracy(scores: Scores, log: SessionLog, pairs: Pairs | None = None) -> dict[str, float]:
    """Return `pairwise`, the accuracy, and `pairs`, their number; {} where the log has no pair."""
    pairs = find_pairs(log) if pairs is None else pairs
    if not len(pairs.end):
        return {}
    won = np.empty(len(pairs.end), np.float64)
    order = np.argsort(pairs.end, kind="stable")
    ends, first = np.unique(pairs.end[order], return_index=True)
    bounds = np.append(first, len(order))
    for start in range(0, len(ends), _PREFIXES):
        stop = min(start + _PREFIXES, len(ends))
        rows = order[bounds[start] : bounds[stop]]  # pairs of these prefixes
        prefix = np.repeat(np.arange(stop - start), np.diff(bounds[start : stop + 1]))
        items, place = np.unique(np.concatenate([pairs.wanted[rows], pairs.unwanted[rows]]), return_inverse=True)
        starts = log.offsets[pairs.session[order[bounds[start:stop]]]]
        found = scores(starts, ends[start:stop], items.astype(np.int32))
        yes, no = found[prefix, place[: len(rows)]], found[prefix, place[len(rows) :]]
        won[rows] = np.where(yes == no, 0.5, yes > no)
    _, of = np.unique(pairs.session, return_inverse=True)
    shares = np.bincount(of, won) / np.bincount(of)
    return {ACCURACY: float(shares.mean()), PAIRS: float(len(pairs.end))}


def ranker_scores(ranker: Ranker, log: SessionLog) -> Scores:
    """Return what a ranker's graph says of given items after prefixes of `log`; it needs the port `also`."""
    wanted, typed = log.is_wanted, ranker.typed and log.kinds is not None

    def scores(starts: Ints, ends: Ints, items: NDArray[np.int32]) -> NDArray[np.float32]:
        rows = [np.arange(a, b) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        rows = rows if typed else [row[wanted[row]] for row in rows]
        codes = log.kinds if typed else None
        kinds = None if codes is None else Ragged.of([codes[row].astype(np.int32) for row in rows])
        return ranker.rank_deep(Ragged.of([log.items[row] for row in rows]), 1, also=items, kinds=kinds).also

    return scores


def _with_both(log: SessionLog) -> Iterator[int]:
    if log.kinds is None:
        return
    sums = np.concatenate(([0], np.cumsum(log.is_wanted)))
    yes = sums[log.offsets[1:]] - sums[log.offsets[:-1]]  # (S,) wanted events
    yield from np.flatnonzero((yes > 1) & (yes < log.lengths)).tolist()


def _of_session(log: SessionLog, session: int, most: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Return session, end, and the rows of the wanted and the unwanted item of each pair."""
    begin, stop = int(log.offsets[session]), int(log.offsets[session + 1])
    items, ts, is_wanted = log.items[begin:stop], log.ts[begin:stop], log.is_wanted[begin:stop]
    yes, no = np.flatnonzero(is_wanted), np.flatnonzero(~is_wanted)
    no = no[~np.isin(items[no], items[yes])]
    yes, no = (rows[np.sort(np.unique(items[rows], return_index=True)[1])] for rows in (yes, no))
    first, second = np.repeat(yes, len(no)), np.tile(no, len(yes))
    ends = np.searchsorted(ts, np.minimum(ts[first], ts[second]), side="left")  # events of an earlier time
    begun = np.searchsorted(np.flatnonzero(is_wanted), ends, side="left") > 0
    kept = np.flatnonzero(begun)
    if len(kept) > most:
        kept = kept[np.linspace(0, len(kept) - 1, most).round().astype(np.int64)]
    of = np.full(len(kept), session, np.int64)
    return of, begin + ends[kept], begin + first[kept], begin + second[kept]
