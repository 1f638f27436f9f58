"""The lists of some sessions that one source ranks: ranked once for all placements, and again where that is not enough.

A list that is left open (`choose.py`) is settled by the scores of all items that pass its filter, where those are few,
or else by a deeper ranking; at the latest by one of everything.

B sessions, D places, C candidates, E exclusions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from export.policy.arrange import arrange, insert_pins
from export.policy.choose import Candidates, Chosen, Stage, gather, straight
from export.policy.counts import Counts
from export.policy.rule import Rule
from export.policy.shopper import Shopper
from export.policy.sources import Ranking, Source
from export.ranking.popularity import RankedList
from export.ranking.ragged import Ragged

__all__ = ["Filling", "Run"]

_DEEPER = 8  # times as many places in the next ranking
_MOST_OWN = 16_384  # items that pass a session's filter, whose scores are asked for one by one
_MOST_TOGETHER = 65_536  # of several sessions in one run
_MOST_CELLS = 4_000_000  # ids and scores of a deep ranking, some 40 bytes each, that are held at a time
_NO_IDS = np.empty(0, dtype=np.int32)


@dataclass(slots=True)
class Run:
    """The sessions of a batch that one source ranks."""

    source: Source
    shoppers: Sequence[Shopper]
    places: NDArray[np.int64]  # (B,) in the batch
    last: NDArray[np.int32]  # (B,) the newest item of interest, 0 where it is unknown


@dataclass(slots=True)
class _Open:
    """One placement's lists, as far as they are settled."""

    rule: Rule
    barred: Ragged  # B rows of catalogue ids
    lists: list[RankedList | None]  # (B,)
    candidates: Candidates = field(init=False)
    place: dict[int, int] = field(default_factory=dict)  # row -> its place among the candidates
    own: dict[int, Stage] = field(default_factory=dict)  # row -> all items that pass its filter, scored
    interests: dict[int, dict[int, int]] = field(default_factory=dict)  # row -> item -> the interest it came from


class Filling:
    """One run and the placements it is for, by their numbers."""

    def __init__(
        self, run: Run, rules: Mapping[int, Rule], vocabulary: Vocabulary, counts: Counts, newer: NDArray[np.int32]
    ) -> None:
        """newer: ids of items that the ranking alone does not have."""
        self._run, self._vocabulary, self._counts = run, vocabulary, counts
        rows = len(run.shoppers)
        self._open = {number: _Open(rule, rule.barred(run.shoppers), [None] * rows) for number, rule in rules.items()}
        self._rows = np.arange(rows)
        lifted = [rule.standing.lifted for rule in rules.values()]
        self._lifted = _union([newer, *lifted]) if self._may_ask else _NO_IDS
        self.left = dict.fromkeys(rules, 0)  # lists that the first ranking left open

    @property
    def _may_ask(self) -> bool:
        return self._run.source.takes_candidates

    def lists(self, beyond: int, eager: frozenset[int]) -> dict[int, list[RankedList]]:
        """Return the lists of each placement, one a session.

        beyond: places that the first ranking has more than the lists. eager: placements whose filters' items are asked
        for at once, as the first ranking leaves most of their lists open.
        """
        longest = max(one.rule.placement.k + len(one.rule.placement.policy.pins) for one in self._open.values())
        barred = max(int(one.barred.lengths.max(initial=0)) for one in self._open.values())
        depth = min(longest + barred + beyond, self._run.source.depth)
        wanted = {number: self._passing(one, self._rows) for number, one in self._open.items() if number in eager}
        owns = _union([ids for passing in wanted.values() for ids in passing.values()])
        owns = owns if self._may_ask and len(owns) <= _MOST_TOGETHER else _NO_IDS
        ranking = self._run.source.rank(self._rows, depth, np.concatenate([self._lifted, owns]))
        also = ranking.also
        for number, one in self._open.items():
            self._take(one, self._rows, ranking, depth)
            if number in wanted and len(owns):
                self._take_own(one, wanted[number], self._rows, owns, also[:, len(self._lifted) :])
            left = self._choose(one, self._rows)
            self.left[number] = len(left)
            self._counts.again += len(left)
            self._settle(one, left, depth)
        return {number: [done for done in one.lists if done is not None] for number, one in self._open.items()}

    def _settle(self, one: _Open, left: NDArray[np.int64], depth: int) -> None:
        """Ask for more until nothing is left open."""
        while len(left):
            own = {row: ids for row, ids in self._passing(one, left).items() if row not in one.own}
            if own and self._may_ask:
                for rows, together in _groups(own):
                    also = self._run.source.rank(rows, 1, together).also
                    self._take_own(one, own, rows, together, also)
            else:
                assert depth < self._run.source.depth, "a ranking of everything leaves a list open"
                depth = min(depth * _DEEPER, self._run.source.depth)
                left = self._choose_deep(one, left, depth)
                continue
            left = self._choose(one, left)

    def _choose_deep(self, one: _Open, left: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Rank deeper, as many rows at a time as memory allows; the rows left open."""
        still = []
        parts = min(len(left), -(-len(left) * depth // _MOST_CELLS))
        for rows in np.array_split(left, parts):
            self._take(one, rows, self._run.source.rank(rows, depth, self._lifted), depth)
            still.append(self._choose(one, rows))
        return np.concatenate(still)

    def _take(self, one: _Open, rows: NDArray[np.int64], ranking: Ranking, depth: int) -> None:
        """Make a ranking of some rows the candidates; scores of lifted items are the first of its others'."""
        standing = one.rule.standing
        if ranking.interests is not None:
            of_rows = zip(rows.tolist(), ranking.ids.tolist(), ranking.interests.tolist(), strict=True)
            one.interests.update((row, dict(zip(ids, said, strict=True))) for row, ids, said in of_rows)
        one.candidates = gather(
            ranking.ids,
            ranking.scores,
            self._lifted,
            ranking.also[:, : len(self._lifted)],
            boost=standing.boost,
            allowed=standing.allowed,
            barred=one.barred.rows(rows).padded(),
            slack=standing.slack if self._may_ask else standing.most,
            whole=depth >= self._run.source.depth,
        )
        one.place = {row: place for place, row in enumerate(rows.tolist())}

    def _passing(self, one: _Open, rows: NDArray[np.int64]) -> dict[int, NDArray[np.int32]]:
        """Return all items that pass the filter of each row, for those rows that have few enough of them."""
        if one.rule.placement.policy.filter is None:
            return {}
        found = {row: one.rule.passing_ids(int(self._run.last[row])) for row in rows.tolist()}
        return {row: ids for row, ids in found.items() if ids is not None and len(ids) <= _MOST_OWN}

    def _take_own(
        self,
        one: _Open,
        passing: Mapping[int, NDArray[np.int32]],
        rows: NDArray[np.int64],
        together: NDArray[np.int32],
        scores: NDArray[np.float32],
    ) -> None:
        """Put the items that pass into order; scores (B', C) of `together` (C,), ascending, for B' rows."""
        standing = one.rule.standing
        for place, row in enumerate(rows.tolist()):
            ids = passing.get(row)
            if ids is None:
                continue
            scored = scores[place, np.searchsorted(together, ids)].astype(np.float64)
            if standing.boost is not None:
                scored += standing.boost[ids]
            scored[~standing.allowed[ids]] = -np.inf
            if len(barred := one.barred.rows(np.array([row])).values):
                scored[np.isin(ids, barred)] = -np.inf
            order = np.argsort(-scored, kind="stable")
            one.own[row] = Stage(ids[order], scored[order], -np.inf)

    def _choose(self, one: _Open, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Settle what can be settled; the rows left open."""
        rule, policy = one.rule, one.rule.placement.policy
        places = [one.place[row] for row in rows.tolist()]
        if policy.filter is None and not rule.caps and not policy.pins:
            every = straight(one.candidates, rule.placement.k)
            found = [every[place] for place in places]
        else:
            found = [self._pick(one, row, place) for row, place in zip(rows.tolist(), places, strict=True)]
        for row, chosen in zip(rows.tolist(), found, strict=True):
            if chosen is not None:
                one.lists[row] = self._named(rule, row, chosen, one.interests.get(row))
        return np.array([row for row, chosen in zip(rows.tolist(), found, strict=True) if chosen is None], np.int64)

    def _pick(self, one: _Open, row: int, place: int) -> Chosen | None:
        return arrange(
            one.rule,
            self._vocabulary,
            Stage(*one.candidates.row(place)),
            one.own.get(row),
            last=int(self._run.last[row]),
            pins=one.rule.pins(self._run.shoppers[row]),
            counts=self._counts,
        )

    def _named(self, rule: Rule, row: int, chosen: Chosen, of: Mapping[int, int] | None) -> RankedList:
        ids, scores = chosen
        items = self._vocabulary.items
        shown = self._run.source.shown(ids, scores)
        named = [(items[item - 1], score) for item, score in zip(ids, shown, strict=True)]
        interests = [] if of is None else [of.get(item, -1) for item in ids]
        pins = rule.pins(self._run.shoppers[row])
        for place in pins if of is not None else ():
            interests.insert(place - 1, -1)
        insert_pins(named, pins)
        self._counts.short += len(named) < rule.placement.k
        return RankedList(named, self._run.source.fallback, tuple(interests))


def _groups(own: Mapping[int, NDArray[np.int32]]) -> list[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Return rows that are scored in one run, and the items they want, ascending."""
    groups: list[tuple[list[int], list[NDArray[np.int32]]]] = [([], [])]
    size = 0
    for row, ids in own.items():
        if size + len(ids) > _MOST_TOGETHER:
            groups.append(([], []))
            size = 0
        size += len(ids)
        groups[-1][0].append(row)
        groups[-1][1].append(ids)
    return [(np.array(rows, np.int64), _union(wanted)) for rows, wanted in groups if rows]


def _union(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    full = [part for part in parts if len(part)]
    if not full:
        return _NO_IDS
    return full[0] if len(full) == 1 else np.unique(np.concatenate(full)).astype(np.int32)
