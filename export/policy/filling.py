"""The lists of some sessions that one source ranks: ranked once for all placements, and again where that is not enough.

A list that is left open (`choose.py`) is settled by the scores of all items that pass its filter, or of all that it
may still take, where those are few, or else by a deeper ranking; at the latest by one of everything. Where it may take
none, as a cap is reached by all that there is, it is over: no ranking finds more.

B sessions, D places, C candidates, E exclusions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from export.policy.arrange import count_filter, insert_pins, stages_of
from export.policy.choose import Candidates, Choice, Chosen, Stage, gather, straight
from export.policy.counts import Counts
from export.policy.rule import Rule
from export.policy.shopper import Shopper
from export.policy.sources import Ranking, Source
from export.ranking.popularity import RankedList
from export.ranking.ragged import Ragged

__all__ = ["Filling", "Run"]

_DEEPER = 8  # times as many places in the next ranking
_MOST_TOGETHER = 65_536  # of several sessions in one run
_ALIKE = 4  # times as many are looked at, as lists have some in common
_MOST_CELLS = 4_000_000  # ids and scores of a deep ranking, some 40 bytes each, that are held at a time
_Ids = NDArray[np.int32]
_NO_IDS: _Ids = np.empty(0, dtype=np.int32)


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
    begun: dict[int, Choice] = field(default_factory=dict)  # row -> the list that is left open
    said: dict[int, tuple[_Ids, _Ids]] = field(default_factory=dict)  # row -> items, and the interest each came from


class Filling:
    """One run and the placements it is for, by their numbers."""

    def __init__(self, run: Run, rules: Mapping[int, Rule], vocabulary: Vocabulary, counts: Counts) -> None:
        self._run, self._vocabulary, self._counts = run, vocabulary, counts
        rows = len(run.shoppers)
        self._open = {number: _Open(rule, rule.barred(run.shoppers), [None] * rows) for number, rule in rules.items()}
        self._rows = np.arange(rows)
        self._beside = run.source.beside
        lifted = _union([rule.standing.lifted for rule in rules.values()]) if self._may_ask else _NO_IDS
        self._is_beside = np.zeros(len(vocabulary) + 1, dtype=np.bool_)
        self._is_beside[self._beside] = True
        self._lifted = lifted[~self._is_beside[lifted]]
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
        wanted = {number: self._own_ids(one, self._rows) for number, one in self._open.items() if number in eager}
        together = self._together([ids for own in wanted.values() for ids in own.values()])
        ranking = self._run.source.rank(self._rows, depth, np.concatenate([self._lifted, together]))
        also = ranking.also
        for number, one in self._open.items():
            self._take(one, self._rows, ranking, depth)
            if number in wanted:
                self._take_own(one, wanted[number], self._rows, together, also[:, len(self._lifted) :])
            self._settle(number, self._choose(one, self._rows), depth)
        return {number: [done for done in one.lists if done is not None] for number, one in self._open.items()}

    def _settle(self, number: int, left: NDArray[np.int64], depth: int) -> None:
        """Ask for more until nothing is left open."""
        one = self._open[number]
        left = self._choose_few(one, left)
        left = self._finish(one, left, {row: ids for row, ids in self._rest_ids(one, left).items() if not len(ids)})
        self.left[number] = len(left)
        self._counts.again += len(left)
        while len(left):
            left = self._ask_own(one, left)
            left = self._ask_rest(one, left)
            if len(left):
                assert depth < self._run.source.depth, "a ranking of everything leaves a list open"
                depth = min(depth * _DEEPER, self._run.source.depth)
                left = self._choose_deep(one, left, depth)

    def _choose_few(self, one: _Open, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Settle those lists that nothing passes the filter of: there is nothing to ask for."""
        none = {row: ids for row, ids in self._own_ids(one, left).items() if row not in one.own and not len(ids)}
        if not none:
            return left
        self._take_own(one, none, left, _NO_IDS, np.empty((len(left), 0), np.float32))
        return self._choose(one, left)

    def _ask_own(self, one: _Open, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ask for the scores of all items that come first in a list."""
        own = {row: ids for row, ids in self._own_ids(one, left).items() if row not in one.own}
        if not own or not self._may_ask:
            return left
        for rows, together in _groups(own):
            self._take_own(one, own, rows, together, self._run.source.rank(rows, 1, together).also)
        return self._choose(one, left)

    def _ask_rest(self, one: _Open, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ask for the scores of all items that a list may still take."""
        rest = {row: ids for row, ids in self._rest_ids(one, left).items() if len(ids)}
        if rest and self._may_ask:
            for rows, together in _groups(rest):
                scores = self._run.source.rank(rows, 1, together).also
                stages = self._scored(one, rest, rows, together, scores)
                left = self._finish(one, left, rest, stages)
        return left

    def _finish(
        self,
        one: _Open,
        left: NDArray[np.int64],
        rest: Mapping[int, _Ids],
        stages: Mapping[int, Stage] | None = None,
    ) -> NDArray[np.int64]:
        """Settle lists by all that they may still take, for those rows that have it scored or have none of it."""
        done = set[int]()
        for row in rest if stages is None else stages:
            choice = one.begun[row]
            if stages is not None:
                choice.take_all(stages_of(one.rule, stages[row], None, int(self._run.last[row])))
            self._end(one, row, choice.chosen)
            done.add(row)
        return np.array([row for row in left.tolist() if row not in done], np.int64) if done else left

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
        others, scores = self._lifted, ranking.also[:, : len(self._lifted)]
        if ranking.beside is not None:
            others, scores = np.concatenate([self._beside, others]), np.concatenate([ranking.beside, scores], axis=1)
        if ranking.interests is not None:
            one.said.update(zip(rows.tolist(), zip(ranking.ids, ranking.interests, strict=True), strict=True))
        one.candidates = gather(
            ranking.ids,
            ranking.scores,
            others,
            scores,
            boost=standing.boost,
            allowed=standing.allowed,
            barred=one.barred.rows(rows).padded(),
            slack=standing.slack if self._may_ask else standing.most,
            whole=depth >= self._run.source.depth,
        )
        one.place = {row: place for place, row in enumerate(rows.tolist())}

    def _own_ids(self, one: _Open, rows: NDArray[np.int64]) -> dict[int, _Ids]:
        """Return all items that come first in the list of each row, for those rows that have few enough of them."""
        if not one.rule.has_few:
            return {}
        found = {row: one.rule.own_ids(int(self._run.last[row])) for row in rows.tolist()}
        return {row: ids for row, ids in found.items() if ids is not None}

    def _rest_ids(self, one: _Open, rows: NDArray[np.int64]) -> dict[int, _Ids]:
        """Return all items that the list of each row may still take, for those rows that have few enough of them."""
        if not one.rule.caps:
            return {}
        found = {row: one.rule.rest_ids(one.begun[row].closed, int(self._run.last[row])) for row in rows.tolist()}
        return {row: ids for row, ids in found.items() if ids is not None}

    def _together(self, owns: Sequence[_Ids]) -> _Ids:
        """Return the items of several lists, ascending; none where they are too many, or can't be asked for."""
        different = list({id(ids): ids for ids in owns}.values())  # those of many lists are the same ones
        if not self._may_ask or sum(map(len, different)) > _MOST_TOGETHER * _ALIKE:
            return _NO_IDS
        together = _union(different)
        return together if len(together) <= _MOST_TOGETHER else _NO_IDS

    def _take_own(
        self,
        one: _Open,
        own: Mapping[int, _Ids],
        rows: NDArray[np.int64],
        together: _Ids,
        scores: NDArray[np.float32],
    ) -> None:
        """Put what comes first in the lists of B' rows into order; nothing happens where it was not asked for."""
        one.own.update(self._scored(one, own, rows, together, scores))

    def _scored(
        self,
        one: _Open,
        wanted: Mapping[int, _Ids],
        rows: NDArray[np.int64],
        together: _Ids,
        scores: NDArray[np.float32],
    ) -> dict[int, Stage]:
        """Return what B' rows want, best first; scores (B', C) of `together` (C,), ascending."""
        standing, stages = one.rule.standing, dict[int, Stage]()
        for place, row in enumerate(rows.tolist()):
            ids = wanted.get(row)
            if ids is None or (len(ids) and not len(together)):
                continue
            scored = scores[place, np.searchsorted(together, ids)].astype(np.float64)
            if standing.boost is not None:
                scored += standing.boost[ids]
            scored[~standing.allowed[ids]] = -np.inf
            if len(barred := one.barred.rows(np.array([row])).values):
                scored[np.isin(ids, barred)] = -np.inf
            order = np.argsort(-scored, kind="stable")
            stages[row] = Stage(ids[order], scored[order], -np.inf)
        return stages

    def _choose(self, one: _Open, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Settle what can be settled; the rows left open."""
        rule, policy = one.rule, one.rule.placement.policy
        places = [one.place[row] for row in rows.tolist()]
        if policy.filter is None and not rule.caps and not policy.pins and not one.own:
            every = straight(one.candidates, rule.placement.k)
            found = [every[place] for place in places]
        else:
            found = [self._pick(one, row, place) for row, place in zip(rows.tolist(), places, strict=True)]
        for row, chosen in zip(rows.tolist(), found, strict=True):
            if chosen is not None:
                self._end(one, row, chosen)
        return np.array([row for row, chosen in zip(rows.tolist(), found, strict=True) if chosen is None], np.int64)

    def _pick(self, one: _Open, row: int, place: int) -> Chosen | None:
        """Return the list of a row; None where it is left open, as far as it is made then."""
        rule = one.rule
        choice = one.begun[row] = rule.choice(list(rule.pins(self._run.shoppers[row]).values()))
        ranked = Stage(*one.candidates.row(place))
        stages = stages_of(rule, ranked, one.own.get(row), int(self._run.last[row]))
        return choice.chosen if choice.take_all(stages) else None

    def _end(self, one: _Open, row: int, chosen: Chosen) -> None:
        """Settle one list."""
        count_filter(one.rule, chosen, int(self._run.last[row]), self._counts)
        one.lists[row] = self._named(one, row, chosen)

    def _named(self, one: _Open, row: int, chosen: Chosen) -> RankedList:
        ids, scores = chosen
        items = self._vocabulary.items
        shown = self._run.source.shown(ids, scores)
        named = [(items[item - 1], score) for item, score in zip(ids, shown, strict=True)]
        said = one.said.get(row)
        interests = [] if said is None else self._interests(ids, *said)
        pins = one.rule.pins(self._run.shoppers[row])
        for place in pins if said is not None else ():
            interests.insert(place - 1, -1)
        insert_pins(named, pins)
        self._counts.short += len(named) < one.rule.placement.k
        return RankedList(named, self._run.source.fallback, tuple(interests))

    def _interests(self, chosen: Sequence[int], ranked: _Ids, interests: _Ids) -> list[int]:
        """Return which interest each item came from; -1 for one that the ranking did not have, or not as it is."""
        found = np.flatnonzero(np.isin(ranked, np.array(chosen, np.int32)) & ~self._is_beside[ranked])
        of = dict(zip(ranked[found].tolist(), interests[found].tolist(), strict=True))
        return [of.get(item, -1) for item in chosen]


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
