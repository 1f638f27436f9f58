"""What a placement makes of one session's candidates: first what passes its filter, then the others; caps; pins.

M candidates.
"""

from collections.abc import Mapping

import numpy as np

from export.bundle.vocabulary import Vocabulary
from export.policy.choose import Chosen, Rules, Stage, pick
from export.policy.counts import Counts
from export.policy.rule import Rule

__all__ = ["arrange", "insert_pins"]


def arrange(
    rule: Rule,
    vocabulary: Vocabulary,
    ranked: Stage,
    own: Stage | None,
    *,
    last: int,
    pins: Mapping[int, str],
    counts: Counts,
) -> Chosen | None:
    """Return the list but for its pins, which count for caps; None where the candidates leave it open.

    own: those that pass the filter, where they were scored beside `ranked`. last: the item that the filter compares.
    """
    rules = Rules(
        k=rule.placement.k - len(pins),
        caps=rule.caps,
        pinned=[index for item in pins.values() if (index := vocabulary.index(item))],
        outside=rule.values_outside(pins.values()),
    )
    wanted = rule.placement.policy.filter
    if wanted is None:
        return pick([ranked], rules)
    passing, compared = rule.passes(ranked.ids, last)
    if passing is None:
        chosen = pick([ranked], rules)
    else:
        first = ranked.where(passing) if own is None else own
        others = [ranked.where(~passing)] if wanted.fill else []
        chosen = pick([first, *others], rules)
        if chosen is not None and chosen[0]:  # what does not pass stands behind what does
            counts.filled += not rule.passes(np.array(chosen[0][-1:], np.int32), last)[0].all()  # type: ignore[union-attr]
    counts.unfiltered += not compared and chosen is not None
    return chosen


def insert_pins(named: list[tuple[str, float]], pins: Mapping[int, str]) -> None:
    """Put pins, by their place from 1, into a list; the score of one is that of the item it stands before."""
    for place, item in pins.items():
        beside = named[min(place - 1, len(named) - 1)][1] if named else 0.0
        named.insert(place - 1, (item, beside))
