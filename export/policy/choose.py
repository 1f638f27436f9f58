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

__all__ = ["Candidates", "Chosen", "Rules", "Stage", "gather", "pick", "straight"]

_AT_ONCE = 4_000_000  # comparisons, a byte each

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


@dataclass(frozen=True, slots=True)
class Rules:
    """What is chosen from one session's candidates."""

    k: int
    caps: Sequence[tuple[int, Callable[[int], Sequence[int]]]] = ()  # so many of a value, and the values of an item
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
    if len(also_ids):
        marked = np.zeros(len(allowed), dtype=np.bool_)
        marked[also_ids] = True
        scored[marked[ids]] = -np.inf  # it stands among the others
        every = np.concatenate([ids, np.broadcast_to(also_ids, (len(ids), len(also_ids)))], axis=1)
        scored = np.concatenate([scored, also_scores], axis=1)
    if boost is not None:
        scored += boost[every]
    shown = allowed[every]
    if barred.any():
        shown &= ~_among(every, barred, len(allowed))
    scored[~shown] = -np.inf
    order = np.argsort(-scored, axis=1, kind="stable")
    none_left = ids[:, -1] == PAD
    bound = np.where(none_left | whole, -np.inf, scores[:, -1].astype(np.float64) + slack)
    return Candidates(np.take_along_axis(every, order, 1), np.take_along_axis(scored, order, 1), bound)


def _among(ids: NDArray[np.int32], barred: NDArray[np.int32], size: int) -> NDArray[np.bool_]:
    """Tell which ids (B, M), below `size`, are among those of their row in `barred` (B, E)."""
    if ids.size * barred.shape[1] <= _AT_ONCE:
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


def pick(stages: Sequence[Stage], rules: Rules) -> Chosen | None:
    """Return the list of one session: the first stage's best, then the next one's; None where that leaves it open."""
    chosen = _Choice(rules)
    for stage in stages:
        if not chosen.take(stage):
            return None
    return chosen.result


class _Choice:
    """A list being filled."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ids: list[int] = []
        self._scores: list[float] = []
        self._counts: list[dict[int, int]] = [{} for _ in rules.caps]
        self._pinned = frozenset(rules.pinned)
        for item in rules.pinned:
            self._count(item)
        for codes, counts in zip(rules.outside, self._counts, strict=False):
            for code in codes:
                counts[code] = counts.get(code, 0) + 1

    @property
    def is_full(self) -> bool:
        return len(self._ids) == self._rules.k

    @property
    def result(self) -> Chosen:
        return self._ids, self._scores

    def take(self, stage: Stage) -> bool:
        """Take its best; False where the bound leaves open whether something else comes first."""
        if self.is_full:
            return True
        for item, score in zip(stage.ids.tolist(), stage.scores.tolist(), strict=True):
            if score < stage.bound or score == -np.inf:
                break
            if item not in self._pinned and self._fits(item):
                self._count(item)
                self._ids.append(item)
                self._scores.append(score)
                if self.is_full:
                    return True
        return stage.bound == -np.inf

    def _fits(self, item: int) -> bool:
        for (most, values), counts in zip(self._rules.caps, self._counts, strict=True):
            if any(counts.get(value, 0) >= most for value in values(item)):
                return False
        return True

    def _count(self, item: int) -> None:
        for (_, values), counts in zip(self._rules.caps, self._counts, strict=True):
            for value in values(item):
                counts[value] = counts.get(value, 0) + 1
