"""One placement's policy as it is at the moment: what of a session's candidates it lets pass, caps, pins and bars."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from export.items.values import is_path, prefixes
from export.items.view import CatalogueView
from export.policy.choose import Cap, Choice, Rules
from export.policy.config import Placement
from export.policy.kept import Kept
from export.policy.shopper import Shopper, excluded_items
from export.policy.standing import Blocked, Common, Standing
from export.ranking.ragged import Ragged

__all__ = ["Rule"]

_MOST_OWN = 16_384  # items that a session's list can be made of, whose scores are asked for one by one
_FEW = 1_000  # items that may be shown at all, which are asked for in place of a deeper ranking


class Rule:
    """What a placement wants, asked for sessions and their candidates (M,)."""

    def __init__(
        self,
        placement: Placement,
        vocabulary: Vocabulary,
        view: CatalogueView | None,
        now_ms: int,
        common: Common | None = None,
    ) -> None:
        """common: what placements share that are made together."""
        self.placement = placement
        self.standing = Standing(placement, view, now_ms, common or Common(Blocked(vocabulary), view))
        self.caps = [
            Cap(most, self._values(name), partial(self.standing.holders, name))
            for name, most in placement.policy.at_most.items()
        ]
        self._vocabulary, self._view, self._kept = vocabulary, view, Kept()

    @property
    def has_few(self) -> bool:
        """Whether some lists can be made of items that are asked for one by one: few pass the filter, or are left."""
        return self.placement.policy.filter is not None or self.standing.shown <= _FEW

    def barred(self, shoppers: Sequence[Shopper]) -> Ragged:
        """Return the catalogue ids that each session's list must not hold."""
        exclude = self.placement.policy.exclude
        return Ragged.look_up(self._vocabulary, [excluded_items(one, exclude) for one in shoppers])

    def passing_ids(self, last: int) -> NDArray[np.int32] | None:
        """Return all items that pass the filter; None where all do."""
        same, passing = self.standing.same(last), self.standing.passing
        if same is None:
            return None if passing is None else np.flatnonzero(passing).astype(np.int32)
        return same if passing is None else same[passing[same]]

    def own_ids(self, last: int) -> NDArray[np.int32] | None:
        """Return what comes first in the list of a session with that last item: all items that pass its filter, or,
        without one, all that may be shown; None where they are many."""
        if self.placement.policy.filter is None:
            return self._kept.get("shown", self._shown) if self.standing.shown <= _FEW else None
        return self._kept.get(("own", self.standing.same_codes(last)), lambda: self._few_passing(last))

    def rest_ids(self, closed: frozenset[tuple[int, int]], last: int) -> NDArray[np.int32] | None:
        """Return all items that a list may have which takes none of some values (`Choice.closed`); None where they are
        many. Where there are none, no ranking finds more."""
        rule = self.placement.policy.filter
        only = rule is not None and not rule.fill
        key = closed, self.standing.same_codes(last) if only else ()
        return self._kept.get(key, lambda: self._rest_ids(closed, last, only))

    def choice(self, pinned: Sequence[str]) -> Choice:
        """Return an empty list for a session with those pins."""
        known = [index for item in pinned if (index := self._vocabulary.index(item))]
        k, size = self.placement.k - len(pinned), len(self.standing.allowed)
        return Choice(Rules(k, size, self.caps, known, self.values_outside(pinned)))

    def passes(self, ids: NDArray[np.int32], last: int) -> tuple[NDArray[np.bool_] | None, bool]:
        """Return which candidates (M,) pass the filter, None: all do; and whether the last item could be compared."""
        same, rule = self.standing.same(last), self.placement.policy.filter
        compared = same is not None or rule is None or not rule.same
        passing = None if self.standing.passing is None else self.standing.passing[ids]
        if same is None:
            return passing, compared
        shares = same[np.searchsorted(same, ids).clip(max=len(same) - 1)] == ids
        return (shares if passing is None else shares & passing), compared

    def pins(self, shopper: Shopper) -> dict[int, str]:
        """Return the items pinned in a session's list, by their place from 1, but for those that may not be shown."""
        policy = self.placement.policy
        if not policy.pins:
            return {}
        out = excluded_items(shopper, policy.exclude)
        return {
            pin.place: pin.item
            for pin in sorted(policy.pins, key=lambda pin: pin.place)
            if pin.item not in out and pin.item not in policy.blocked and self._may_be_shown(pin.item)
        }

    def values_outside(self, items: Iterable[str]) -> list[list[int]]:
        """Return, of each cap, the values' codes of those items that the model does not know, once an item."""
        names, view = self.placement.policy.at_most, self._view
        if not names or view is None:
            return []
        known = [found for item in items if item not in self._vocabulary and (found := view.table.get(item))]
        return [
            [code for item in known for code in _codes(view, name, item.attributes.get(name, ()))] for name in names
        ]

    def _shown(self) -> NDArray[np.int32]:
        return np.flatnonzero(self.standing.allowed).astype(np.int32)

    def _few_passing(self, last: int) -> NDArray[np.int32] | None:
        found = self.passing_ids(last)
        return None if found is None or len(found) > _MOST_OWN else found

    def _rest_ids(self, closed: frozenset[tuple[int, int]], last: int, only: bool) -> NDArray[np.int32] | None:
        left = self.standing.allowed.copy()
        for number, code in closed:
            left[self.caps[number].holders(code)] = False
        if only and (passing := self.passing_ids(last)) is not None:
            outside = np.ones(len(left), dtype=np.bool_)
            outside[passing] = False
            left[outside] = False
        return np.flatnonzero(left).astype(np.int32) if np.count_nonzero(left) <= _MOST_OWN else None

    def _may_be_shown(self, item: str) -> bool:
        if index := self._vocabulary.index(item):
            return bool(self.standing.allowed[index])
        if self._view is None or not self.placement.policy.unavailable:
            return True
        known = self._view.table.get(item)
        return known.available if known is not None else not self._view.table.is_gone(item)

    def _values(self, attribute: str) -> Callable[[int], Sequence[int]]:
        """Return what gives the values' codes of an item; looked up once, as long as the standing is in force."""
        known: dict[int, Sequence[int]] = {}
        standing = self.standing

        def values(item: int) -> Sequence[int]:
            found = known.get(item)
            if found is None:
                found = known[item] = standing.codes_of(attribute, item)
            return found

        return values


def _codes(view: CatalogueView, attribute: str, texts: Sequence[str]) -> set[int]:
    every = [*texts, *(one for text in texts for one in prefixes(text))] if is_path(attribute) else texts
    return {code for text in every if (code := view.value_code(attribute, text)) is not None}
