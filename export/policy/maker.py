"""The lists of sessions by a shop's policy: ranked once for all placements, exact, always K items long where the shop
has so many. Worker, evaluation and command line all make them here.

    maker = ListMaker(ranker, config, table)
    maker.make(shoppers)        a list of each session for each placement

Exact means: the list that ranking everything and then filtering gives. The first ranking is a little deeper than K;
what it leaves open is ranked again, with all items that pass the filter as candidates where those are few, else deeper.

B sessions, D places, C candidates, E exclusions, V catalogue.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy.choose import Candidates, Chosen, Rules, gather, pick, straight
from export.policy.config import ListsConfig
from export.policy.counts import Counts
from export.policy.heard import Heard
from export.policy.rule import Rule
from export.policy.shopper import Shopper, excluded_items
from export.policy.sources import ByModel, ByPopularity, Source
from export.ranking.popularity import PopularityRanker, RankedList
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker

__all__ = ["ListMaker"]

_BEYOND = 32  # places that the first ranking has beyond K; grows where lists are left open often
_DEEPER = 8  # times as many places in the next ranking
_MOST_HOLDERS = 4_096  # items that pass a filter, whose scores are asked for one by one
_AGE_MS = 60_000  # after which filters by age are looked at again
_NO_IDS = np.empty(0, dtype=np.int32)


@dataclass(slots=True)
class _Run:
    """The sessions of one batch that one source ranks, all of one `push`."""

    source: Source
    shoppers: Sequence[Shopper]
    places: NDArray[np.int64]  # (B,) in the batch
    last: NDArray[np.int32]  # (B,) the newest item of interest, 0 where it is unknown


class ListMaker:
    """For one ranker, one config and one table of items; for one thread at a time."""

    def __init__(
        self,
        ranker: Ranker | PopularityRanker,
        config: ListsConfig,
        table: ItemTable | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """now: seconds since the epoch."""
        self.ranker, self.config, self.counts = ranker, config, Counts()
        self._vocabulary = ranker.bundle.vocabulary
        self._typed = isinstance(ranker, Ranker) and ranker.typed  # it reads skips and dislikes too
        self._popularity = ByPopularity(ranker.bundle)
        self._view = CatalogueView(table, self._vocabulary) if table is not None else None
        self._now, self._beyond = now, _BEYOND
        self._stand()

    @property
    def version(self) -> str:
        """The model's version."""
        return self.ranker.version

    def use(self, config: ListsConfig) -> None:
        """Make lists by another config from now on; nothing happens where it is the one in use."""
        if config is not self.config:
            self.config = config
            self._stand()

    def refresh(self) -> bool:
        """Take up what changed of the items; whether anything did. `make` does it by itself."""
        changed = self._view is not None and self._view.refresh()
        if changed or (self._ages and self._now() * 1000 - self._stood_ms > _AGE_MS):
            self._stand()
            return True
        return False

    def make(self, shoppers: Sequence[Shopper]) -> list[list[RankedList]]:
        """Return the lists of each session, in the order of the config's placements."""
        self.refresh()
        lists: list[list[RankedList]] = [[] for _ in shoppers]
        if not shoppers:
            return lists
        if self._is_plain(shoppers):
            return self._plain(shoppers)
        heard = Heard.of(self._vocabulary, shoppers, typed=self._typed)
        chosen: list[list[RankedList | None]] = [[None] * len(self._rules) for _ in shoppers]
        for run, rules in self._runs(shoppers, heard):
            self._fill(run, rules, chosen)
        self.counts.lists += len(shoppers) * len(self._rules)
        return [[one for one in row if one is not None] for row in chosen]

    def _stand(self) -> None:
        self._stood_ms = int(self._now() * 1000)
        self._rules: list[Rule] = []
        for placement in self.config.placements:
            self._rules.append(Rule(placement, self._vocabulary, self._view, self._stood_ms))
        filters = [one.policy.filter for one in self.config.placements]
        self._ages = any(one is not None and one.newer_than_days is not None for one in filters)
        self.counts.hidden = self._rules[0].standing.hidden

    def _is_plain(self, shoppers: Sequence[Shopper]) -> bool:
        """Whether the graph's own exclusions are all that is wanted, by one list or by several of one policy."""
        first = self.config.placements[0].policy
        if any(rule.caps or rule.placement.policy.pins or not rule.standing.is_plain for rule in self._rules):
            return False
        if any(one.policy.exclude != first.exclude for one in self.config.placements):
            return False
        if self.config.k_max > self.ranker.k_max:
            return False
        return not any("d" in shopper.kinds for shopper in shoppers)

    def _plain(self, shoppers: Sequence[Shopper]) -> list[list[RankedList]]:
        placements = self.config.placements
        exclude = [excluded_items(shopper, placements[0].policy.exclude) for shopper in shoppers]
        if self._typed and isinstance(self.ranker, Ranker):
            items, kinds = [shopper.items for shopper in shoppers], [shopper.codes for shopper in shoppers]
            ranked = self.ranker.rank_items(items, self.config.k_max, exclude, kinds)
        else:
            interest = [shopper.interest for shopper in shoppers]
            ranked = self.ranker.rank_items(interest, self.config.k_max, exclude)
        self.counts.lists += len(shoppers) * len(placements)
        self.counts.short += sum(len(one.items) < place.k for one in ranked for place in placements)
        return [[RankedList(one.items[: place.k], one.fallback) for place in placements] for one in ranked]

    def _runs(self, shoppers: Sequence[Shopper], heard: Heard) -> list[tuple[_Run, list[int]]]:
        """Return what ranks whom: sessions with a known item the model, once for each `push`; others popularity."""
        known = np.flatnonzero(heard.rows.lengths) if isinstance(self.ranker, Ranker) else np.empty(0, dtype=np.int64)
        unknown = np.setdiff1d(np.arange(len(shoppers)), known)
        every = list(range(len(self._rules)))
        runs: list[tuple[_Run, list[int]]] = []
        if len(known) and isinstance(self.ranker, Ranker):
            mine = heard.of_rows(known)
            away = Ragged.look_up(self._vocabulary, [shoppers[i].disliked for i in known.tolist()])
            by_push: dict[float, list[int]] = {}
            for number in every:
                by_push.setdefault(self.config.placements[number].policy.push, []).append(number)
            whose = [shoppers[i] for i in known.tolist()]
            runs += [
                (_Run(ByModel(self.ranker, mine.rows, away, push, mine.kinds), whose, known, mine.last), numbers)
                for push, numbers in by_push.items()
            ]
        if len(unknown):
            whose = [shoppers[i] for i in unknown.tolist()]
            nothing = np.zeros(len(unknown), dtype=np.int32)
            runs.append((_Run(self._popularity, whose, unknown, nothing), every))
        return runs

    def _fill(self, run: _Run, numbers: Sequence[int], chosen: list[list[RankedList | None]]) -> None:
        """Choose the lists of a run, for the placements with these numbers."""
        rules = [self._rules[number] for number in numbers]
        barred = {number: self._rules[number].barred(run.shoppers) for number in numbers}
        also = _union([rule.standing.lifted for rule in rules]) if run.source.takes_candidates else _NO_IDS
        longest = max(rule.placement.k for rule in rules)
        most_barred = max(int(one.lengths.max(initial=0)) for one in barred.values())
        most_pinned = max(len(rule.placement.policy.pins) for rule in rules)
        depth = min(longest + most_barred + most_pinned + self._beyond, run.source.depth)
        rows = np.arange(len(run.shoppers))
        ids, scores, also_scores = run.source.rank(rows, depth, also)
        open_rows = 0
        for number in numbers:
            rule = self._rules[number]
            candidates = self._gathered(rule, run, rows, ids, scores, also, also_scores, barred[number], depth)
            left = self._choose(rule, run, rows, candidates, number, chosen)
            open_rows += len(left)
            if len(left):
                self._again(rule, run, left, depth, barred[number], number, chosen)
        self._learn_depth(open_rows, len(rows) * len(numbers), depth)

    def _again(
        self,
        rule: Rule,
        run: _Run,
        left: NDArray[np.int64],
        depth: int,
        barred: Ragged,
        number: int,
        chosen: list[list[RankedList | None]],
    ) -> None:
        """Rank deeper, and with all that passes a filter as candidates, until nothing is left open."""
        self.counts.again += len(left)
        while len(left):
            depth = min(depth * _DEEPER, run.source.depth)
            for rows, also, complete in self._second(rule, run, left):
                ids, scores, also_scores = run.source.rank(rows, depth, also)
                candidates = self._gathered(rule, run, rows, ids, scores, also, also_scores, barred, depth)
                still = self._choose(rule, run, rows, candidates, number, chosen, complete=complete)
                assert not len(still) or depth < run.source.depth, "a ranking of everything leaves a list open"
            left = np.array([row for row in left.tolist() if chosen[run.places[row]][number] is None], dtype=np.int64)

    def _second(
        self, rule: Rule, run: _Run, left: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int32], bool]]:
        """Return groups of rows, the candidates to ask for beside their ranking, and whether they are all that pass."""
        lifted = rule.standing.lifted if run.source.takes_candidates else _NO_IDS
        if rule.placement.policy.filter is None or not run.source.takes_candidates:
            return [(left, lifted, False)]
        groups: list[tuple[NDArray[np.int64], NDArray[np.int32], bool]] = []
        wide: list[int] = []
        together: list[int] = []
        union = lifted
        for row in left.tolist():
            holders = rule.passing_ids(int(run.last[row]))
            if holders is None or len(holders) > _MOST_HOLDERS:
                wide.append(row)
                continue
            grown = np.union1d(union, holders).astype(np.int32)
            if together and len(grown) > _MOST_HOLDERS:
                groups.append((np.array(together), union, True))
                together, grown = [], np.union1d(lifted, holders).astype(np.int32)
            together.append(row)
            union = grown
        if together:
            groups.append((np.array(together), union, True))
        if wide:
            groups.append((np.array(wide), lifted, False))
        return groups

    def _gathered(
        self,
        rule: Rule,
        run: _Run,
        rows: NDArray[np.int64],
        ids: NDArray[np.int32],
        scores: NDArray[np.float32],
        also: NDArray[np.int32],
        also_scores: NDArray[np.float32],
        barred: Ragged,
        depth: int,
    ) -> Candidates:
        standing = rule.standing
        slack = standing.slack if run.source.takes_candidates else standing.most
        return gather(
            ids,
            scores,
            also,
            also_scores,
            boost=standing.boost,
            allowed=standing.allowed,
            barred=barred.rows(rows).padded(),
            slack=slack,
            whole=depth >= run.source.depth,
        )

    def _choose(
        self,
        rule: Rule,
        run: _Run,
        rows: NDArray[np.int64],
        candidates: Candidates,
        number: int,
        chosen: list[list[RankedList | None]],
        *,
        complete: bool = False,
    ) -> NDArray[np.int64]:
        """Settle what can be settled; the rows left open."""
        policy, k = rule.placement.policy, rule.placement.k
        if policy.filter is None and not rule.caps and not policy.pins:
            found = straight(candidates, k)
        else:
            found = [self._pick(rule, run, row, candidates, place, complete) for place, row in enumerate(rows.tolist())]
        left = []
        for row, one in zip(rows.tolist(), found, strict=True):
            if one is None:
                left.append(row)
            else:
                chosen[run.places[row]][number] = self._named(rule, run, row, one)
        return np.array(left, dtype=np.int64)

    def _pick(
        self, rule: Rule, run: _Run, row: int, candidates: Candidates, place: int, complete: bool
    ) -> Chosen | None:
        policy, ids = rule.placement.policy, candidates.ids[place]
        passing = None
        if policy.filter is not None:
            passing, compared = rule.passes(ids, int(run.last[row]))
            self.counts.unfiltered += not compared
        pins = rule.pins(run.shoppers[row])
        rules = Rules(
            k=rule.placement.k - len(pins),
            passing=passing,
            complete=complete,
            fill=policy.filter is None or policy.filter.fill,
            caps=rule.caps,
            pinned=[index for item in pins.values() if (index := self._vocabulary.index(item))],
        )
        found = pick(ids.tolist(), candidates.scores[place].tolist(), float(candidates.bound[place]), rules)
        if found is not None and passing is not None:
            passed = set(ids[passing].tolist())
            self.counts.filled += any(item not in passed for item in found[0])
        return found

    def _named(self, rule: Rule, run: _Run, row: int, chosen: Chosen) -> RankedList:
        ids, scores = chosen
        shown = run.source.shown(ids, scores)
        named = [(self._vocabulary.item(item), score) for item, score in zip(ids, shown, strict=True)]
        for place, item in rule.pins(run.shoppers[row]).items():
            beside = named[min(place - 1, len(named) - 1)][1] if named else 0.0
            named.insert(place - 1, (item, beside))  # its score is that of the item it stands before
        self.counts.short += len(named) < rule.placement.k
        return RankedList(named, run.source.fallback)

    def _learn_depth(self, left: int, lists: int, depth: int) -> None:
        """Rank a little deeper where lists are left open often, so that one run is enough for most."""
        if left * 20 > lists:
            self._beyond = min(self._beyond * 2, 1_024)
        elif left == 0 and self._beyond > _BEYOND:
            self._beyond -= 1


def _union(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    full = [part for part in parts if len(part)]
    if not full:
        return _NO_IDS
    return full[0] if len(full) == 1 else np.unique(np.concatenate(full)).astype(np.int32)
