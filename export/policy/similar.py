"""The items that are like each one, by a shop's policy: as far as it means something without a session.

An item stands in the place of a session's last one: filters compare with it. What may not be shown, boosts, caps and
pins are as in any list; what a session did (`exclude`, `push`) is nothing here, which `of_sessions` says.

Exact: the list that comparing with every item and then filtering gives; of equal ones the first in the catalogue comes
first. Boosts multiply odds here too: those of a cosine c are (1 + c) / (1 - c), and a score is the cosine that has the
odds.

V items of the model, ids 1..V; Q items asked about at once, K in a list, D places of a ranking.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.items.view import CatalogueView
from export.policy.arrange import count_filter, insert_pins, stages_of
from export.policy.choose import Candidates, Chosen, Stage, straight
from export.policy.config import Placement, Policy
from export.policy.counts import Counts
from export.policy.rule import Rule
from export.policy.shopper import Shopper
from export.ranking.best import Best, best
from export.ranking.similar import Similar

__all__ = ["SimilarList", "SimilarLists", "of_sessions"]

SimilarList = list[tuple[str, float]]  # (item id, cosine), the first first

_AT_ONCE = 512  # Q
_CELLS = 1 << 24  # scores held at a time, 4 bytes each: with a large catalogue fewer items are asked about at once
_BEYOND = 8  # places that a ranking has beyond K
_DEEPER = 8  # times as many places in the next ranking
_IN_CACHE = 16  # items whose scores are gone through together: passes over all of them would wait for the memory
_LEAST = np.float32(1e-7)  # how far a cosine is from 1 at least: more than one, by rounding, is as good as one
_MOST_BOOST = 60.0  # of several boosts together, a logarithm: odds beyond would be infinite
_NOBODY = Shopper.of_clicks(())


def of_sessions(policy: Policy) -> list[str]:
    """Return the rules of a policy that are about what a session did, as its file names them."""
    excluded = [f"exclude ({', '.join(policy.exclude)})"] if policy.exclude else []
    push = bool(policy.push) and (bool(policy.exclude) or policy.push != Policy().push)
    return [*excluded, *(["push"] if push else [])]


class SimilarLists:
    """Of one model, by one placement, as the items are now. For one thread."""

    def __init__(self, similar: Similar, placement: Placement, view: CatalogueView | None, now_ms: int) -> None:
        """view: what is said of the model's items; now_ms: since the epoch, for filters by age."""
        self.similar, self.placement, self.counts = similar, placement, Counts()
        self.rule = Rule(placement, similar.vocabulary, view, now_ms)
        self.pins = self.rule.pins(_NOBODY)  # by their place
        standing, policy = self.rule.standing, placement.policy
        self.counts.hidden = standing.hidden
        self._hidden = np.where(standing.allowed, np.float32(0), np.float32(-np.inf))  # (V + 1,)
        boost = None if standing.boost is None else standing.boost.clip(-_MOST_BOOST, _MOST_BOOST)
        self._factor = None if boost is None else np.exp(boost)  # (V + 1,) of the odds
        self.listed = np.zeros(
            (len(self._hidden), placement.k), dtype=np.int32
        )  # (V + 1, K) of the lists made, 0-padded
        self._is_plain = policy.filter is None and not self.rule.caps and not self.pins
        self._at_once = max(1, min(_AT_ONCE, _CELLS // len(self._hidden)))

    def holding(self, ids: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return the items whose list, of those made so far, holds one of some (V + 1,)."""
        if not ids.any():
            return np.empty(0, dtype=np.int32)
        wanted = ids.copy()
        wanted[PAD] = False
        return np.flatnonzero(wanted[self.listed].any(axis=1)).astype(np.int32)

    @property
    def version(self) -> str:
        """The model's version."""
        return self.similar.version

    def of(self, items: Sequence[str]) -> list[SimilarList | None]:
        """Return the list of each item, itself left out; None for one that the model does not know."""
        ids = self.similar.vocabulary.look_up(items, len(items))
        found = (made for _, made in self.some(ids[ids != PAD]))
        return [next(found) if number != PAD else None for number in ids.tolist()]

    def all(self) -> Iterator[tuple[str, SimilarList]]:
        """Yield every item of the model with its list, in catalogue order."""
        return self.some(np.arange(PAD + 1, len(self._hidden), dtype=np.int32))

    def some(self, ids: NDArray[np.int32]) -> Iterator[tuple[str, SimilarList]]:
        """Yield the items of catalogue ids (N,), each with its list, in their order."""
        names = self.similar.vocabulary.items
        for start in range(0, len(ids), self._at_once):
            asked = ids[start : start + self._at_once]
            for item, made in zip(asked.tolist(), self._lists(asked), strict=True):
                yield names[item - 1], made

    def _lists(self, asked: NDArray[np.int32]) -> Iterator[SimilarList]:
        scores = self._scores(asked)
        depth = self.placement.k + len(self.pins) + _BEYOND
        ranked = best(scores, depth)
        found: list[Chosen | None] = [None] * len(asked)
        if self._is_plain:
            found = straight(_candidates(ranked), self.placement.k)
        own = self._passing(scores, depth)
        self.counts.lists += len(asked)
        for row, item in enumerate(asked.tolist()):
            pins = {place: pin for place, pin in self.pins.items() if pin != self.similar.vocabulary.items[item - 1]}
            chosen = found[row]
            if chosen is None:
                first = None if own is None else _stage(own[0], own[1], row)
                chosen = self._pick(scores[row], item, _stage(ranked, None, row), first, pins)
            found_ids = [*chosen[0], *self.similar.vocabulary.encode(pins.values())]
            self.listed[item] = [*found_ids, *[PAD] * (self.placement.k - len(found_ids))]
            yield self._named(chosen, pins)

    def _scores(self, asked: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return what items are ranked by, (Q, V + 1): cosines, or their odds with boosts; -inf: not to be shown."""
        scores = self.similar.cosines(asked)
        for start in range(0, len(asked), _IN_CACHE):
            some = scores[start : start + _IN_CACHE]
            if self._factor is not None:
                away = np.maximum(1 - some, _LEAST)
                some += 1
                some *= self._factor
                some /= away
            some += self._hidden
        scores[np.arange(len(asked)), asked] = -np.inf
        return scores

    def _passing(self, scores: NDArray[np.float32], depth: int) -> tuple[Best, NDArray[np.int32]] | None:
        """Return the best of the items that pass the filter, and their ids; None where that differs by item."""
        rule = self.placement.policy.filter
        if rule is None or rule.same or (ids := self.rule.passing_ids(PAD)) is None:
            return None
        return best(scores[:, ids], depth), ids

    def _pick(
        self, scores: NDArray[np.float32], item: int, ranked: Stage, first: Stage | None, pins: dict[int, str]
    ) -> Chosen:
        """Return one item's list of the scores (V + 1,); by more and more of the ranking, until nothing is open."""
        passing = None if self.placement.policy.filter is None else self.rule.passing_ids(item)
        depth = self.placement.k + len(self.pins) + _BEYOND
        while True:
            if passing is not None and first is None:
                first = _stage(best(scores[None, passing], depth), passing, 0)
            choice = self.rule.choice(list(pins.values()))
            settled = choice.take_all(stages_of(self.rule, ranked, first, item))
            rest = None if settled or not self.rule.caps else self.rule.rest_ids(choice.closed, item)
            if rest is not None and len(rest) <= _DEEPER * depth:  # all that the list may still take
                every = _stage(best(scores[None, rest], len(rest)), rest, 0)
                settled = choice.take_all(stages_of(self.rule, every, None, item))
            if settled:
                count_filter(self.rule, choice.chosen, item, self.counts)
                return choice.chosen
            assert depth < len(scores), "a ranking of everything leaves a list open"
            self.counts.again += 1
            depth *= _DEEPER
            ranked, first = _stage(best(scores[None], depth), None, 0), None

    def _named(self, chosen: Chosen, pins: dict[int, str]) -> SimilarList:
        items = self.similar.vocabulary.items
        named = [(items[item - 1], self._cosine(score)) for item, score in zip(*chosen, strict=True)]
        insert_pins(named, pins)
        self.counts.short += len(named) < self.placement.k
        return named

    def _cosine(self, score: float) -> float:
        return score if self._factor is None else (score - 1) / (score + 1)


def _candidates(ranked: Best) -> Candidates:
    return Candidates(
        ranked.columns.astype(np.int32), ranked.scores.astype(np.float64), ranked.bound.astype(np.float64)
    )


def _stage(found: Best, ids: NDArray[np.int32] | None, row: int) -> Stage:
    """Return a row's; ids: catalogue ids of the columns, where they are others."""
    columns = found.columns[row].astype(np.int32)
    return Stage(
        columns if ids is None else ids[columns], found.scores[row].astype(np.float64), float(found.bound[row])
    )
