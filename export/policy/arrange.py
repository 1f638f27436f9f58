"""What a placement makes of one session's candidates: first what passes its filter, then the others; caps; pins.

M candidates.
"""

from collections.abc import Mapping

import numpy as np

from export.policy.choose import Chosen, Stage
from export.policy.counts import Counts
from export.policy.rule import Rule

__all__ = ["count_filter", "insert_pins", "stages_of"]


def stages_of(rule: Rule, ranked: Stage, own: Stage | None, last: int) -> list[Stage]:
    """Return what a list takes from, one after the other: what passes the filter, and what else may follow.

    own: all that comes first, where it was scored beside `ranked`. last: the item that the filter compares.
    """
    wanted = rule.placement.policy.filter
    if wanted is None:
        return [ranked if own is None else own]
    passing, _ = rule.passes(ranked.ids, last)
    if passing is None:
        return [ranked]
    return [ranked.where(passing) if own is None else own, *([ranked.where(~passing)] if wanted.fill else [])]


def count_filter(rule: Rule, chosen: Chosen, last: int, counts: Counts) -> None:
    """Count a list that was settled by what became of its filter."""
    if rule.placement.policy.filter is None:
        return
    ids = np.array(chosen[0][-1:], np.int32)
    passing, compared = rule.passes(ids, last)
    if passing is not None and len(ids):  # what does not pass stands behind what does
        counts.filled += not passing.all()
    counts.unfiltered += not compared


def insert_pins(named: list[tuple[str, float]], pins: Mapping[int, str]) -> None:
    """Put pins, by their place from 1, into a list; the score of one is that of the item it stands before."""
    for place, item in pins.items():
        beside = named[min(place - 1, len(named) - 1)][1] if named else 0.0
        named.insert(place - 1, (item, beside))
