"""A population of sessions that would be shown the lists of two models, the second better by a known share.

What a shopper clicks next is drawn from tastes over a few hundred items; a model ranks by the tastes it believes in,
which are the true ones and noise. Most of the noise is common to both models, as they learned the same log; each has
some of its own. The second one has so much less of the common one that its hit rate is above the first one's by what is
asked for. Some sessions know better what they want than others, so the clicks of a session depend on each other.

Legend: S sessions, P clicks that are judged, V items, K places of a list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.experiments.interleave import coins, credit, team_draft

__all__ = ["Population", "populate"]

ITEMS = 150  # V: what a session may want at all
K = 20
CLICKS = 3.0  # judged, of a session in the mean; geometric
COMMON = 0.8  # share of the variance of the first model's noise that is the same in the second one's scores
CLARITY = (1.0, 3.0)  # spread of a session's tastes, uniform in between
_STEPS = 18  # of the bisection: the uplift is right to 4 digits

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Population:
    """By session, (S,) each: clicks judged, hits of either model's lists, and votes in lists drafted from both."""

    clicks: Ints
    first_hits: Ints
    second_hits: Ints
    first_votes: Ints
    second_votes: Ints

    @property
    def uplift(self) -> float:
        """By how much of the first model's hit rate the second one's is higher."""
        return float(self.second_hits.sum() / self.first_hits.sum()) - 1.0


def populate(sessions: int, *, uplift: float, noise: float = 3.0, seed: int = 0) -> Population:
    """Draw sessions. `noise`: standard deviation of the first model's; tastes have those of CLARITY.

    ValueError where the second model can't be so much better.
    """
    rng = np.random.default_rng(seed)
    clicks = rng.geometric(1 / CLICKS, sessions)
    owner = np.repeat(np.arange(sessions), clicks)  # (P,)
    clarity = rng.uniform(*CLARITY, sessions).astype(np.float32)[owner, None]
    tastes = clarity * rng.standard_normal((len(owner), ITEMS), np.float32)  # (P, V)
    wanted = (tastes + rng.gumbel(size=tastes.shape).astype(np.float32)).argmax(axis=1)  # (P,)
    common = np.float32(noise * COMMON**0.5) * rng.standard_normal(tastes.shape, np.float32)
    own = [np.float32(noise * (1 - COMMON) ** 0.5) * rng.standard_normal(tastes.shape, np.float32) for _ in range(2)]
    first = tastes + common + own[0]
    second = _better(tastes, common, own[1], wanted, (1 + uplift) * float(_is_hit(first, wanted).mean()))
    hits = [_is_hit(scores, wanted) for scores in (first, second)]
    votes = _votes(first, second, wanted, owner)

    def by_session(found: NDArray[np.bool_]) -> Ints:
        return np.bincount(owner, found, minlength=sessions).astype(np.int64)

    return Population(clicks, by_session(hits[0]), by_session(hits[1]), by_session(votes == 0), by_session(votes == 1))


def _better(tastes: Floats, common: Floats, own: Floats, wanted: Ints, goal: float) -> Floats:
    """The scores of a model with its own noise, and with so much less of the common one that its hit rate is `goal`."""
    low, high = np.float32(0.0), np.float32(1.0)  # share of the common noise; the least gives the best lists
    base = tastes + own
    if _is_hit(base, wanted).mean() < goal:
        raise ValueError(f"no model of this noise has a hit rate of {goal:.3f}: ask for less uplift, or more noise")
    for _ in range(_STEPS):
        middle = (low + high) / np.float32(2)
        if _is_hit(base + middle * common, wanted).mean() < goal:
            high = middle
        else:
            low = middle
    found: Floats = base + low * common
    return found


def _is_hit(scores: Floats, wanted: Ints) -> NDArray[np.bool_]:
    """Whether the wanted item is among the K best: (P,)."""
    own = np.take_along_axis(scores, wanted[:, None], axis=1)  # (P, 1)
    hit: NDArray[np.bool_] = (scores > own).sum(axis=1) < K
    return hit


def _votes(first: Floats, second: Floats, wanted: Ints, owner: Ints) -> Ints:
    """Whose item was clicked in the list of both: 0, 1, or -1 where it was nobody's, (P,)."""
    found = np.full(len(wanted), -1, np.int64)
    lists = [_top(scores) for scores in (first, second)]
    for place, (one, other, item) in enumerate(zip(*lists, wanted.tolist(), strict=True)):
        if item not in one and item not in other:
            continue
        flipped = coins("simulated", str(owner[place]), place)
        shown, teams = team_draft(_scored(one), _scored(other), K, flipped)
        winner = credit([str(team) for team in teams], [name for name, _ in shown], (str(item),))
        if winner is not None:
            found[place] = int(winner)
    return found


def _top(scores: Floats) -> list[list[int]]:
    """The K best items of each row, best first."""
    best = np.argpartition(-scores, K, axis=1)[:, :K]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    ordered: list[list[int]] = np.take_along_axis(best, order, axis=1).tolist()
    return ordered


def _scored(items: list[int]) -> list[tuple[str, float]]:
    return [(str(item), -float(place)) for place, item in enumerate(items)]
