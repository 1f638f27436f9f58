"""How long the lists of a placement can be at all: what no list can keep is found from counts, and not from lists.

Bounds, each of which holds for every session: the items that may be shown; those of them that pass a filter behind
which nothing follows; and for a cap `m` of an attribute, with c_v items of value v and u items of none, u + the sum of
min(m, c_v), and for each v by itself m + all that do not have it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.items.view import CatalogueView
from export.policy.rule import Rule

__all__ = ["Shortage", "shortage_of"]


class Shortage(NamedTuple):
    """Lists that are shorter than they are asked for, whoever asks."""

    placement: str
    k: int
    longest: int
    why: str
    remedy: str

    def __str__(self) -> str:
        name = f"of {self.placement} " if self.placement else ""
        return f"lists {name}have {self.longest:,} of {self.k:,} items at most: {self.why}"


def shortage_of(rule: Rule, view: CatalogueView | None, newer: int = 0) -> Shortage | None:
    """Return why a placement's lists are too short; None where they need not be. newer: items that the model lacks."""
    placement, standing = rule.placement, rule.standing
    pins = len(placement.policy.pins)  # they may stand beside all others
    found = [_of_shown(rule, newer)]
    among = standing.allowed
    if (filter_ := placement.policy.filter) is not None and not filter_.fill and standing.passing is not None:
        among = among & standing.passing
        passing = int(np.count_nonzero(among))
        why = f"{_items(passing)} that may be shown pass{'es' * (passing == 1)} the filter, which has fill = false"
        found.append((passing, why, "leave out fill = false, or let more items pass"))
    if view is not None:
        found += [_of_cap(view, name, most, among) for name, most in placement.policy.at_most.items()]
    longest, why, remedy = min(found, key=lambda one: one[0])
    longest += pins
    return Shortage(placement.name, placement.k, longest, why, remedy) if longest < placement.k else None


def _of_shown(rule: Rule, newer: int) -> tuple[int, str, str]:
    standing = rule.standing
    size = len(standing.allowed) - 1
    if not standing.hidden:
        return size, f"the model has {_items(size - newer)}", "lower k, or train a model of more items"
    why = f"{standing.shown:,} of {_items(size)} may be shown, the others are blocked or not available"
    return standing.shown, why, "lower k, block fewer, or say on the topic of items what is available"


def _of_cap(view: CatalogueView, attribute: str, most: int, among: NDArray[np.bool_]) -> tuple[int, str, str]:
    counts, without = view.counts(attribute, among)
    total = int(np.count_nonzero(among))
    each = without + int(np.minimum(counts, min(most, total)).sum())  # a cap may be larger than numpy's integers
    largest = int(counts.max(initial=0))
    one = min(largest, most) + total - largest
    values = int(np.count_nonzero(counts))
    had = f"the items that may be shown have {values:,} different value{'s' * (values != 1)} of {attribute}"
    if one < each:
        had = f"{largest:,} of {_items(total)} that may be shown have one value of {attribute}"
    why = f"at_most has {attribute} = {most}, and {had} ({without:,} have none)"
    return min(each, one), why, f"raise at_most of {attribute}, leave it out, or lower k"


def _items(count: int) -> str:
    return f"{count:,} item{'s' * (count != 1)}"
