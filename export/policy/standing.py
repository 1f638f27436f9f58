"""What a policy says of the items whoever asks: which may be shown, how much each is lifted, which pass its filter.

V catalogue, ids 1..V, row 0 padding. Made anew whenever the items change, by a few passes over arrays (V + 1,).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.items.view import CatalogueView
from export.policy.config import Filter, Placement
from export.policy.kept import Kept

__all__ = ["MOST_LIFTED", "Standing"]

MOST_LIFTED = 1_000  # items whose scores are asked for whatever their rank, as a boost may bring them into the list
_DAY_MS = 86_400_000
_NONE = np.empty(0, dtype=np.int32)


class Standing:
    """One placement's policy applied to a model's items."""

    def __init__(self, placement: Placement, vocabulary: Vocabulary, view: CatalogueView | None, now_ms: int) -> None:
        policy = placement.policy
        self._view, self._filter, self._kept = view, policy.filter, Kept()
        size = len(vocabulary) + 1
        self.allowed = np.ones(size, dtype=np.bool_)  # (V + 1,) may be shown
        self.allowed[PAD] = False
        if view is not None and policy.unavailable:
            self.allowed &= view.available
        self.allowed[vocabulary.encode(policy.blocked)] = False
        self.shown = int(np.count_nonzero(self.allowed))  # items that may be
        self.hidden = size - 1 - self.shown
        self.boost = self._boosts(placement, size)  # (V + 1,) added to the scores; None: nothing
        self.lifted, self.slack = self._lifted()
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

    def _boosts(self, placement: Placement, size: int) -> NDArray[np.float32] | None:
        policy, view = placement.policy, self._view
        if view is None:
            return None
        boost = view.log_boost.copy() if policy.boosts else np.zeros(size, dtype=np.float32)
        for one in policy.boost:
            if (code := view.value_code(one.attribute, one.value)) is not None:
                boost[view.holders(one.attribute, code)] += np.float32(np.log(one.factor))
        return boost if boost.any() else None

    def _lifted(self) -> tuple[NDArray[np.int32], float]:
        """Return the items that are lifted most, and the largest boost of those that are not among them."""
        if self.boost is None:
            return _NONE, 0.0
        up = np.flatnonzero((self.boost > 0) & self.allowed).astype(np.int32)
        if len(up) <= MOST_LIFTED:
            return up, 0.0
        order = np.argsort(-self.boost[up], kind="stable")
        return np.sort(up[order[:MOST_LIFTED]]), float(self.boost[up[order[MOST_LIFTED]]])

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
        with np.errstate(invalid="ignore"):  # an unknown price passes no limit
            if rule.price_from is not None:
                found &= view.price >= rule.price_from
            if rule.price_to is not None:
                found &= view.price <= rule.price_to
        if rule.newer_than_days is not None:
            found &= (view.created > now_ms - rule.newer_than_days * _DAY_MS) & (view.created != 0)  # 0: unknown
        return None if found[1:].all() else found
