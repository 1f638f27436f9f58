"""The lists of sessions by a shop's policy: ranked once for all placements, exact, always K items long where the shop
has so many. Worker, evaluation and command line all make them here.

    maker = ListMaker(ranker, config, table)
    maker.make(shoppers)        a list of each session for each placement

Exact means: the list that ranking everything and then filtering gives (`filling.py`).

B sessions, V catalogue.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from export.bundle.vocabulary import Vocabulary
from export.items.table import ItemTable
from export.policy.catalogue import Catalogue
from export.policy.config import ListsConfig
from export.policy.counts import Counts
from export.policy.filling import Filling, Run
from export.policy.heard import Heard
from export.policy.room import Shortage, shortage_of
from export.policy.rule import Rule
from export.policy.shopper import Shopper, excluded_items
from export.policy.sources import ByModel, ByPopularity
from export.policy.standing import Blocked, Common
from export.ranking.popularity import PopularityRanker, RankedList
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker

__all__ = ["ListMaker"]

_BEYOND = 8  # places that the first ranking has beyond K; grows where lists are left open often
_MOST_BEYOND = 1_024
_OFTEN = 20  # one list of so many
_PATIENCE = 64  # batches without an open list before it shrinks by one
_REST = 100  # times as long as it took to count how long lists can be, they are not counted again
_AGE_MS = 60_000  # after which filters by age are looked at again


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
        self._eager: frozenset[int] = frozenset()  # placements whose filters leave the first ranking open often
        self._pending: Catalogue | None = None
        self._typed = isinstance(ranker, Ranker) and ranker.typed  # it reads skips and dislikes too
        self._blocked = Blocked(ranker.bundle.vocabulary)
        self._has(Catalogue.of(ranker.bundle, table))
        self._now, self._beyond, self._quiet = now, _BEYOND, 0
        self.shortages: tuple[Shortage, ...] = ()  # placements whose lists can't have their K items
        self._uncounted, self._count_from = True, 0.0  # whether something changed since; of the monotonic clock
        self._stand()

    @property
    def version(self) -> str:
        """The model's version."""
        return self.ranker.version

    @property
    def vocabulary(self) -> Vocabulary:
        """The items that lists are made of: the model's, and newer ones that were taken up."""
        return self._vocabulary

    @property
    def table(self) -> ItemTable | None:
        """What is known of the items."""
        return None if self._view is None else self._view.table

    def use(self, config: ListsConfig) -> None:
        """Make lists by another config from now on; nothing happens where it is the one in use."""
        if config is not self.config:
            self.config, self._eager, self._blocked = config, frozenset(), Blocked(self._vocabulary)
            self._uncounted, self._count_from = True, 0.0
            self._stand()

    def take(self, catalogue: Catalogue) -> None:
        """Make lists of these items from the next ones on; from any thread."""
        self._pending = catalogue

    def refresh(self) -> bool:
        """Take up what changed of the items; whether anything did. `make` does it by itself."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._has(pending)
        if self._view is not None:
            self._view.refresh()  # it may have refreshed by itself while lists were made
        changed = pending is not None or (self._view is not None and self._view.as_of != self._stood_as_of)
        if changed or (self._ages and self._now() * 1000 - self._stood_ms > _AGE_MS):
            self._uncounted = True
            self._stand()
            return True
        self._count_room()
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
        for run, numbers in self._runs(shoppers, heard):
            rules = {number: self._rules[number] for number in numbers}
            filling = Filling(run, rules, self._vocabulary, self.counts)
            for number, made in filling.lists(self._beyond, self._eager).items():
                for place, one in zip(run.places.tolist(), made, strict=True):
                    chosen[place][number] = one
            self._learn(filling.left, len(run.shoppers))
        self.counts.lists += len(shoppers) * len(self._rules)
        return [[one for one in row if one is not None] for row in chosen]

    def _has(self, catalogue: Catalogue) -> None:
        self.catalogue, self._vocabulary, self._view = catalogue, catalogue.vocabulary, catalogue.view
        self._popularity = ByPopularity(self.ranker.bundle, catalogue.newer)
        if self._blocked.vocabulary is not self._vocabulary:
            self._blocked = Blocked(self._vocabulary)

    def _stand(self) -> None:
        self._stood_ms = int(self._now() * 1000)
        self._stood_as_of = None if self._view is None else self._view.as_of
        common = Common(self._blocked, self._view)
        self._rules = [
            Rule(placement, self._vocabulary, self._view, self._stood_ms, common)
            for placement in self.config.placements
        ]
        filters = [one.policy.filter for one in self.config.placements]
        self._ages = any(one is not None and one.newer_than_days is not None for one in filters)
        self.counts.hidden = self._rules[0].standing.hidden
        self._count_room()

    def _count_room(self) -> None:
        """Find out which lists can't be as long as they are asked for, where something changed since: not for each
        change, as that goes through all items."""
        began = time.monotonic()
        if not self._uncounted or began < self._count_from:
            return
        found = (shortage_of(rule, self._view, self.catalogue.newer) for rule in self._rules)
        self.shortages = tuple(one for one in found if one is not None)
        ended, self._uncounted = time.monotonic(), False
        self._count_from = ended + _REST * (ended - began)

    def _is_plain(self, shoppers: Sequence[Shopper]) -> bool:
        """Whether the graph's own exclusions are all that is wanted, by one list or by several of one policy."""
        first = self.config.placements[0].policy
        if any(rule.caps or rule.placement.policy.pins or not rule.standing.is_plain for rule in self._rules):
            return False
        if any(one.policy.exclude != first.exclude for one in self.config.placements):
            return False
        if self.config.k_max > self.ranker.k_max or self.catalogue.fresh is not None:
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
        return [
            [RankedList(one.items[: place.k], one.fallback, one.interests[: place.k]) for place in placements]
            for one in ranked
        ]

    def _runs(self, shoppers: Sequence[Shopper], heard: Heard) -> list[tuple[Run, list[int]]]:
        """Return what ranks whom: sessions with a known item the model, once for each `push`; others popularity."""
        known = np.flatnonzero(heard.rows.lengths) if isinstance(self.ranker, Ranker) else np.empty(0, dtype=np.int64)
        unknown = np.setdiff1d(np.arange(len(shoppers)), known)
        every = list(range(len(self._rules)))
        runs: list[tuple[Run, list[int]]] = []
        if len(known) and isinstance(self.ranker, Ranker):
            mine = heard.of_rows(known)
            away = Ragged.look_up(self._vocabulary, [shoppers[i].disliked for i in known.tolist()])
            fresh = self.catalogue.fresh
            by_push: dict[float, list[int]] = {}
            for number in every:
                by_push.setdefault(self.config.placements[number].policy.push, []).append(number)
            whose = [shoppers[i] for i in known.tolist()]
            runs += [
                (Run(ByModel(self.ranker, mine.rows, away, push, mine.kinds, fresh), whose, known, mine.last), numbers)
                for push, numbers in by_push.items()
            ]
        if len(unknown):
            whose = [shoppers[i] for i in unknown.tolist()]
            nothing = np.zeros(len(unknown), dtype=np.int32)
            runs.append((Run(self._popularity, whose, unknown, nothing), every))
        return runs

    def _learn(self, left: Mapping[int, int], lists: int) -> None:
        """Have the first ranking be enough for most lists: deeper, or with the filters' items, where it is not."""
        open_often = {number for number, count in left.items() if count * _OFTEN > lists}
        filtered = {number for number in open_often if self._rules[number].has_few}
        self._eager |= filtered
        if open_often - filtered:
            self._beyond = min(max(1, self._beyond) * 2, _MOST_BEYOND)
            self._quiet = 0
        elif not any(left.values()) and self._beyond > _BEYOND:
            self._quiet += 1
            if self._quiet >= _PATIENCE:
                self._beyond, self._quiet = self._beyond - 1, 0
