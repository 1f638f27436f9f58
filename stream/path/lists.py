"""The lists that a worker makes: the shop's policy and placements, over the items as they are now, by any ranker."""

import logging
import threading
from collections.abc import Callable, Container, Sequence
from weakref import WeakKeyDictionary, proxy

import numpy as np
from numpy.typing import NDArray

from export.errors import BundleError
from export.items.table import ItemTable
from export.policy.catalogue import MOST_EMBEDDED, Embedded, Newcomers
from export.policy.config import ListsConfig, Placement
from export.policy.counts import Counts
from export.policy.maker import ListMaker
from export.policy.room import Shortage
from export.policy.shopper import Shopper, excluded_items
from export.policy.unknown import say_attributes, say_unknown, unknown_blocked
from export.ranking.popularity import PopularityRanker, RankedList
from export.ranking.ranker import Ranker
from stream.partition.session import SessionState, ranking_items
from stream.path.answers import Answer, ItemRanker, Listed

__all__ = ["ShopLists"]

log = logging.getLogger(__name__)

_LOOK_S = 0.15  # of a look at all models, in which items are compared with what they were at the training


class ShopLists:
    """For the inference thread, but for `use`, which any thread may call."""

    def __init__(
        self,
        config: ListsConfig,
        table: ItemTable | None = None,
        *,
        on_counts: Callable[[Counts], None] | None = None,
        on_embedded: Callable[[Embedded], None] | None = None,
        await_current: Callable[[], None] = lambda: None,
        max_embedded: int = MOST_EMBEDDED,
    ) -> None:
        """await_current: returns once the table is as new as it must be. on_embedded: hears of items newer than the
        models, and of changed ones. max_embedded: of these, those that have a vector of their own."""
        self._on_embedded, self._max_embedded = on_embedded, max_embedded
        self.config, self._table, self._on_counts = config, table, on_counts
        self._await_current = await_current
        self._lock = threading.Lock()  # of `_makers`, which three threads add to and go through
        self._makers: WeakKeyDictionary[Ranker | PopularityRanker, ListMaker] = WeakKeyDictionary()
        self._growing = threading.Lock()  # of `_newcomers`, which two threads look for
        self._newcomers: WeakKeyDictionary[Ranker | PopularityRanker, Newcomers] = WeakKeyDictionary()

    def use(self, config: ListsConfig) -> None:
        """The next batch's lists are made by it."""
        self.config = config

    def prepare(self, ranker: Ranker | PopularityRanker) -> None:
        """Do what takes long before a ranker is in service, so that no click waits for it. For another thread."""
        maker = self._maker(ranker, self.config)
        try:
            self._grow(ranker, maker)
        except BundleError as error:  # its lists are made without newer items; `grow` says so for as long as it is so
            log.warning("model %s is served, but %s", ranker.version, error)

    def warm(self) -> None:
        """Take up the items that were restored, before the first click is read: a million of them take a second."""
        self.grow()
        for _, maker in self._every():
            maker.refresh()

    def grow(self) -> None:
        """Take up items newer than the models, and changed ones, for those that have a tower. For another thread."""
        found, failed = [Embedded()], None
        every = self._every()
        for ranker, maker in every:
            try:
                found.append(self._grow(ranker, maker, _LOOK_S / len(every)))
            except BundleError as error:  # of one model; the others go on
                failed = failed or error
        if self._on_embedded is not None:
            self._on_embedded(Embedded(*map(max, zip(*found, strict=True))))
        if failed is not None:
            raise failed

    def _grow(self, ranker: Ranker | PopularityRanker, maker: ListMaker, look_s: float = _LOOK_S) -> Embedded:
        if self._table is None or not isinstance(ranker, Ranker) or "rows" not in ranker.takes:
            return Embedded()
        with self._growing:
            newcomers = self._newcomers.get(ranker)
            if newcomers is None:
                held = _Held(proxy(ranker))
                newcomers = self._newcomers[ranker] = Newcomers(
                    ranker.bundle,
                    self._table,
                    maker.catalogue,
                    most=self._max_embedded,
                    vectors_of=held.vectors_of,
                )
            if (catalogue := newcomers.look(look_s)) is not None:
                maker.take(catalogue)
            return newcomers.found

    def answers(self, states: Sequence[SessionState], ranker: ItemRanker | None) -> list[Answer]:
        """The lists of some sessions, the first placement's and those of the others. Raises what the ranker raises."""
        config = self.config
        if ranker is None:
            nothing = tuple(Listed(one.name, (), True, k=one.k) for one in config.placements)
            return [Answer.of(nothing) for _ in states]
        if not isinstance(ranker, Ranker | PopularityRanker):
            return self._of_another(states, ranker, config)
        maker = self._maker(ranker, config)
        maker.use(config)
        self._await_current()
        made = maker.make([Shopper(state.items, state.kinds) for state in states])
        if self._on_counts is not None:
            self._on_counts(maker.counts)
            maker.counts = Counts(hidden=maker.counts.hidden)
        placements = config.placements
        return [Answer.of(tuple(map(_listed, placements, row))) for row in made]

    def say_attributes(self) -> str:
        """A line about the attributes, and values of them, that the policy asks for and no item has; empty: none."""
        return say_attributes(self.config, self._table)

    def shortages(self) -> list[Shortage]:
        """The placements whose lists can't have all their items, by what each model and the items have now."""
        makers = [maker for _, maker in self._every() if maker.config is self.config]
        return sorted({one for maker in makers for one in maker.shortages})

    def count_unknown(self, vocabulary: Container[str], version: str) -> int:
        """How many of the blocked ids the model `version` does not know; the log says some of them, and of the pins."""
        for line in say_unknown(self.config, vocabulary, version, self._table):
            log.warning("%s", line)
        return len(unknown_blocked(self.config, vocabulary))

    def _maker(self, ranker: Ranker | PopularityRanker, config: ListsConfig) -> ListMaker:
        with self._lock:
            found = self._makers.get(ranker)
        if found is not None:
            return found
        maker = ListMaker(proxy(ranker), config, self._table)  # a maker that held its key would keep it for ever
        with self._lock:
            return self._makers.setdefault(ranker, maker)

    def _every(self) -> list[tuple[Ranker | PopularityRanker, ListMaker]]:
        with self._lock:
            return list(self._makers.items())

    def _of_another(self, states: Sequence[SessionState], ranker: ItemRanker, config: ListsConfig) -> list[Answer]:
        """What ranks, but has no catalogue: a stand-in of a benchmark. It gives the first placement's list."""
        first = config.placements[0]
        out = [
            first.policy.blocked | excluded_items(Shopper(state.items, state.kinds), first.policy.exclude)
            for state in states
        ]
        lists = ranker.rank_items([ranking_items(state) for state in states], min(first.k, ranker.k_max), out)
        if len(lists) != len(states):
            raise ValueError(f"the ranker gave {len(lists)} lists for {len(states)} sessions")
        return [Answer(ranked.items, ranked.fallback, placement=first.name, k=first.k) for ranked in lists]


class _Held:
    """What is asked of a ranker by who must not keep it alive: a bound method of it would."""

    def __init__(self, ranker: Ranker) -> None:
        self._ranker = ranker

    def vectors_of(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return self._ranker.vectors_of(ids)


def _listed(placement: Placement, ranked: RankedList) -> Listed:
    return Listed(placement.name, ranked.items, ranked.fallback, k=placement.k, interests=ranked.interests)
