"""What a policy says of the items whoever asks: which may be shown, how much each is lifted, which pass its filter.

V catalogue, ids 1..V, row 0 padding. Made anew whenever the items change, by a few passes over arrays (V + 1,).
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.items.view import CatalogueView
from export.policy.config import Filter, Placement, Policy
from export.policy.kept import Kept

__all__ = ["MOST_LIFTED", "Blocked", "Common", "Shared", "Standing"]

MOST_LIFTED = 1_000  # items whose scores are asked for whatever their rank, as a boost may bring them into the list
_DAY_MS = 86_400_000
_NONE = np.empty(0, dtype=np.int32)


class Shared(NamedTuple):
    """What placements have in common whose policies hide and boost the same; nobody writes into it."""

    allowed: NDArray[np.bool_]  # (V + 1,) may be shown
    boost: NDArray[np.float32] | None  # (V + 1,) added to the scores; None: nothing
    lifted: NDArray[np.int32]  # the items that are lifted most
    slack: float  # the largest boost of those that are not among them


class Blocked:
    """Lists of blocked items as catalogue ids, looked up once: they are long, and the items change often."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._found: dict[frozenset[str], NDArray[np.int32]] = {}
        self.size = len(vocabulary) + 1

    def ids(self, blocked: frozenset[str]) -> NDArray[np.int32]:
        """Return the catalogue ids of those that the model knows."""
        if blocked not in self._found:
            self._found[blocked] = np.array(self.vocabulary.encode(blocked), dtype=np.int32)
        return self._found[blocked]


class Common:
    """Made anew whenever the items change: each pass over all of them is made once for all placements."""

    def __init__(self, blocked: Blocked, view: CatalogueView | None) -> None:
        self._blocked, self._view = blocked, view
        self._found: dict[Hashable, Shared] = {}

    def of(self, policy: Policy) -> Shared:
        """Return what a policy says of each item, its filter apart."""
        key = policy.unavailable, policy.blocked, policy.boosts, policy.boost
        if key not in self._found:
            allowed = np.ones(self._blocked.size, dtype=np.bool_)
            allowed[PAD] = False
            if self._view is not None and policy.unavailable:
                allowed &= self._view.available
            allowed[self._blocked.ids(policy.blocked)] = False
            boost = self._boosts(policy)
            self._found[key] = Shared(allowed, boost, *_lifted(boost, allowed))
        return self._found[key]

    def _boosts(self, policy: Policy) -> NDArray[np.float32] | None:
        view = self._view
        if view is None:
            return None
        own = policy.boosts and view.log_boost.any()  # memory that was never written to takes none: it is not copied
        if not own and not policy.boost:
            return None
        boost = view.log_boost.copy() if own else np.zeros(self._blocked.size, dtype=np.float32)
        for one in policy.boost:
            if (code := view.value_code(one.attribute, one.value)) is not None:
                boost[view.holders(one.attribute, code)] += np.float32(np.log(one.factor))
        return boost if boost.any() else None


def _lifted(boost: NDArray[np.float32] | None, allowed: NDArray[np.bool_]) -> tuple[NDArray[np.int32], float]:
    """Return the items that are lifted most, and the largest boost of those that are not among them."""
    if boost is None:
        return _NONE, 0.0
    up = np.flatnonzero((boost > 0) & allowed).astype(np.int32)
    if len(up) <= MOST_LIFTED:
        return up, 0.0
    order = np.argsort(-boost[up], kind="stable")
    return np.sort(up[order[:MOST_LIFTED]]), float(boost[up[order[MOST_LIFTED]]])


class Standing:
    """One placement's policy applied to a model's items."""

    def __init__(self, placement: Placement, view: CatalogueView | None, now_ms: int, common: Common) -> None:
        policy = placement.policy
        self._view, self._filter, self._kept = view, policy.filter, Kept()
        self.allowed, self.boost, self.lifted, self.slack = common.of(policy)
        self.shown = int(np.count_nonzero(self.allowed))  # items that may be
        self.hidden = len(self.allowed) - 1 - self.shown
        self.passing = None if policy.filter is None else self._passing(policy.filter, now_ms)  # (V + 1,); None: all do

    @property
    def is_plain(self) -> bool:
        """Whether the items' scores are what decides, of all items."""
        return self.boost is None and self.hidden == 0 and self._filter is None

    def same_codes(self, last: int) -> tuple[int, ...]:
        """Return the codes of the item `last` in the attribute that the filter compares; none where it compares none
        or the item has none."""
        rule, view = self._filter, self._view
        if rule is None or not rule.same or view is None or last == PAD:
            return ()
        return tuple(view.codes_of(rule.same, last).tolist())

    def same(self, last: int) -> NDArray[np.int32] | None:
        """Return the catalogue ids, ascending, that share a value with the item `last`; None where it has no value."""
        codes = self.same_codes(last)
        return self._kept.get(codes, lambda: self._holders(codes)) if codes else None

    def _holders(self, codes: tuple[int, ...]) -> NDArray[np.int32]:
        holders = [self.holders(self._filter.same if self._filter else "", code) for code in codes]
        if len(holders) == 1:
            return holders[0]
        marked = np.zeros(len(self.allowed), dtype=np.bool_)
        for ids in holders:
            marked[ids] = True
        return np.flatnonzero(marked).astype(np.int32)

    @property
    def most(self) -> float:
        """The largest boost of any item, 0 where none is lifted."""
        return 0.0 if self.boost is None else max(0.0, float(self.boost.max()))

    def codes_of(self, attribute: str, item: int) -> Sequence[int]:
        """Return the values' codes of a catalogue id in an attribute."""
        codes: list[int] = [] if self._view is None else self._view.codes_of(attribute, item).tolist()
        return codes

    def holders(self, attribute: str, code: int) -> NDArray[np.int32]:
        """Return the catalogue ids, ascending, that have a value's code in an attribute."""
        return _NONE if self._view is None else self._view.holders(attribute, code)

    def _passing(self, rule: Filter, now_ms: int) -> NDArray[np.bool_] | None:
        """Return what passes all rules but `same`."""
        found = np.ones(len(self.allowed), dtype=np.bool_)
        view = self._view
        if view is None:
            return None
        for attribute, values in rule.where.items():
            one = np.zeros(len(found), dtype=np.bool_)
            for value in values:
                if (code := view.value_code(attribute, value)) is not None:
                    one[view.holders(attribute, code)] = True
            found &= one
        with np.errstate(invalid="ignore", over="ignore"):  # an unknown price passes no limit
            if rule.price_from is not None:
                found &= view.price >= rule.price_from
            if rule.price_to is not None:
                found &= view.price <= rule.price_to
        if rule.newer_than_days is not None:
            found &= (view.created > now_ms - rule.newer_than_days * _DAY_MS) & (view.created != 0)  # 0: unknown
        return None if found[1:].all() else found
