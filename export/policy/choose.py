"""The list of one session from a part of its ranking, or the finding that more of the ranking is needed.

B sessions, D places of the ranking, C candidates beside them, M = D + C, K asked for, V catalogue.

Exact: what is not among the candidates scores at most what the last place of the ranking does, plus the largest boost
that any of them has (`bound`). So a list is the one that ranking everything and filtering would give, unless it needs
an item below the bound; then it is left open, and asked for again with a deeper ranking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD

__all__ = ["Candidates", "Cap", "Choice", "Chosen", "Rules", "Stage", "gather", "straight"]

_COMPARED = 4_000_000  # at once, a byte each
_FEW_OTHERS = 256  # candidates beside the ranking; of more, those are kept that score above the bound
_ROUNDING = 1e-5  # of scores in single precision, of their size
_ONE_BY_ONE = 64  # candidates that are looked at before those that no longer fit are dropped, all at once

Chosen = tuple[list[int], list[float]]  # catalogue ids and scores, best first


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of B sessions, best first; what may not be shown has the score -inf, and stands at the end."""

    ids: NDArray[np.int32]  # (B, M)
    scores: NDArray[np.float64]  # (B, M), boosts included
    bound: NDArray[np.float64]  # (B,) what all others score at most; -inf where there are none

    def row(self, place: int) -> tuple[NDArray[np.int32], NDArray[np.float64], float]:
        """Return the candidates of one session, and their bound."""
        return self.ids[place], self.scores[place], float(self.bound[place])


class Stage(NamedTuple):
    """Some of one session's candidates (M,), best first; `bound`: what all others of the kind score at most."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float64]
    bound: float

    def where(self, wanted: NDArray[np.bool_]) -> "Stage":
        """Return those that are wanted (M,)."""
        return Stage(self.ids[wanted], self.scores[wanted], self.bound)


class Cap(NamedTuple):
    """So many items of one value."""

    most: int
    values: Callable[[int], Sequence[int]]  # codes of an item
    holders: Callable[[int], NDArray[np.int32]]  # items that have a code


@dataclass(frozen=True, slots=True)
class Rules:
    """What is chosen from one session's candidates."""

    k: int
    size: int  # V + 1
    caps: Sequence[Cap] = ()
    pinned: Sequence[int] = ()  # they stand in the list anyway, and count
    outside: Sequence[Sequence[int]] = ()  # of each cap, values of pinned items that the model lacks: they count


def gather(
    ids: NDArray[np.int32],
    scores: NDArray[np.float32],
    also_ids: NDArray[np.int32],
    also_scores: NDArray[np.float32],
    *,
    boost: NDArray[np.float32] | None,
    allowed: NDArray[np.bool_],
    barred: NDArray[np.int32],
    slack: float,
    whole: bool,
) -> Candidates:
    """Put the candidates of B sessions in order.

    ids, scores (B, D): the ranking's best. also_ids (C,), also_scores (B, C): others, which may be among them. boost,
    allowed (V + 1,). barred (B, E): what a session may not be shown, 0-padded. whole: D is all there is.
    """
    every, scored = ids, scores.astype(np.float64)
    none_left = ids[:, -1] == PAD
    bound = np.where(none_left | whole, -np.inf, scored[:, -1] + slack)
    if boost is not None:
        scored += boost[ids]
    scored[~allowed[ids]] = -np.inf
    if len(also_ids):
        marked = np.zeros(len(allowed), dtype=np.bool_)
        marked[also_ids] = True
        scored[marked[ids]] = -np.inf  # it stands among the others
        kept, others = _above(bound, also_ids, also_scores, _lift(also_ids, boost, allowed))
        every, scored = np.concatenate([ids, kept], axis=1), np.concatenate([scored, others], axis=1)
    if barred.any():
        scored[_among(every, barred, len(allowed))] = -np.inf
    order = np.argsort(-scored, axis=1, kind="stable")
    return Candidates(np.take_along_axis(every, order, 1), np.take_along_axis(scored, order, 1), bound)


def _lift(ids: NDArray[np.int32], boost: NDArray[np.float32] | None, allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what is added to the scores of candidates (C,): boosts, and -inf for what may not be shown."""
    lift = np.zeros(len(ids)) if boost is None else boost[ids].astype(np.float64)
    lift[~allowed[ids]] = -np.inf
    return lift


def _above(
    bound: NDArray[np.float64], ids: NDArray[np.int32], scores: NDArray[np.float32], lift: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the candidates (C,) of each row that score at least its bound, of some thousands; 0 and -inf elsewhere.

    The others count for what is below the bound: nothing of that is taken before more of the ranking is known.
    """
    if len(ids) <= _FEW_OTHERS:
        return np.broadcast_to(ids, scores.shape), scores + lift
    least = (bound - _ROUNDING * np.maximum(1.0, np.abs(np.where(np.isfinite(bound), bound, 0.0)))).astype(np.float32)
    rows, places = np.nonzero(scores + lift.astype(np.float32) >= least[:, None])
    counts = np.bincount(rows, minlength=len(scores))
    shape = len(scores), int(counts.max(initial=0))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)  # in its row
    kept, found = np.full(shape, PAD, dtype=np.int32), np.full(shape, -np.inf)
    kept[rows, place], found[rows, place] = ids[places], scores[rows, places] + lift[places]
    return kept, found


def _among(ids: NDArray[np.int32], barred: NDArray[np.int32], size: int) -> NDArray[np.bool_]:
    """Tell which ids (B, M), below `size`, are among those of their row in `barred` (B, E)."""
    if ids.size * barred.shape[1] <= _COMPARED:
        found: NDArray[np.bool_] = (ids[:, :, None] == barred[:, None, :]).any(axis=2)
        return found
    found = np.empty(ids.shape, dtype=np.bool_)  # one by one: a ranking of everything would take gigabytes
    marked = np.zeros(size, dtype=np.bool_)
    for row, out in enumerate(barred):
        marked[out] = True
        found[row] = marked[ids[row]]
        marked[out] = False
    return found


def straight(candidates: Candidates, k: int) -> list[Chosen | None]:
    """Return the best K of each session's candidates; None where that leaves it open."""
    best, ids = candidates.scores[:, :k], candidates.ids[:, :k]
    count = np.isfinite(best).sum(axis=1)  # (B,)
    last = np.where(count == k, best[:, -1] if best.shape[1] else np.inf, -np.inf)
    settled = (last >= candidates.bound) & ((count == k) | (candidates.bound == -np.inf))
    return [
        (ids[row, : count[row]].tolist(), best[row, : count[row]].tolist()) if settled[row] else None
        for row in range(len(ids))
    ]


class Choice:
    """A list being filled, best first. What it has is what the list will have, whatever is offered next."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ids: list[int] = []
        self._scores: list[float] = []
        self._counts: list[dict[int, int]] = [{} for _ in rules.caps]
        self._full: dict[tuple[int, int], None] = {}  # number of a cap, and a code of which there are enough
        self._had = set(rules.pinned)
        for item in rules.pinned:
            self._count_item(item)
        for number, codes in enumerate(rules.outside):
            for code in codes:
                self._count(number, code)

    @property
    def is_full(self) -> bool:
        """Whether it has all its items."""
        return len(self._ids) >= self._rules.k

    @property
    def chosen(self) -> Chosen:
        """What it has."""
        return self._ids, self._scores

    @property
    def closed(self) -> frozenset[tuple[int, int]]:
        """The values, with the number of their cap, of which it takes no more items."""
        return frozenset(self._full)

    def take_all(self, stages: Sequence[Stage]) -> bool:
        """Take the first stage's best, then the next one's; false where one of them leaves it open."""
        return all(self.take(stage) for stage in stages)

    def take(self, stage: Stage) -> bool:
        """Take its best; false where the bound leaves open whether something else comes first.

        One by one, some at a time; of the others those that no longer fit are dropped at once, so that a cap that is
        reached costs a few passes over the candidates, and not a look at each of them.
        """
        sure = int(np.count_nonzero((stage.scores >= stage.bound) & (stage.scores > -np.inf)))
        ids, scores = stage.ids[:sure], stage.scores[:sure]
        barred, seen = np.empty(0, dtype=np.bool_), 0  # (V + 1,) what holds one of the first `seen` full values
        while len(ids) and not self.is_full:
            self._take_some(ids[:_ONE_BY_ONE].tolist(), scores[:_ONE_BY_ONE].tolist())
            ids, scores = ids[_ONE_BY_ONE:], scores[_ONE_BY_ONE:]
            if len(ids) and len(self._full) > seen:
                barred = barred if seen else np.zeros(self._rules.size, dtype=np.bool_)
                for number, code in list(self._full)[seen:]:
                    barred[self._rules.caps[number].holders(code)] = True
                seen = len(self._full)
                ids, scores = ids[~barred[ids]], scores[~barred[ids]]
        return self.is_full or stage.bound == -np.inf

    def _take_some(self, ids: Sequence[int], scores: Sequence[float]) -> None:
        for item, score in zip(ids, scores, strict=True):
            if self.is_full:
                return
            if item not in self._had and self._fits(item):
                self._count_item(item)
                self._had.add(item)
                self._ids.append(item)
                self._scores.append(score)

    def _fits(self, item: int) -> bool:
        if not self._full:
            return True
        caps = enumerate(self._rules.caps)
        return not any((number, code) in self._full for number, cap in caps for code in cap.values(item))

    def _count_item(self, item: int) -> None:
        for number, cap in enumerate(self._rules.caps):
            for code in cap.values(item):
                self._count(number, code)

    def _count(self, number: int, code: int) -> None:
        counts = self._counts[number]
        counts[code] = counts.get(code, 0) + 1
        if counts[code] >= self._rules.caps[number].most:
            self._full[number, code] = None
