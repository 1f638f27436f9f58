"""What a model is told of some shoppers: their items of interest, or all events with what each is.

B sessions, T events of all of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD, Vocabulary
from export.events import is_wanted
from export.policy.shopper import Shopper
from export.ranking.ragged import Ragged

__all__ = ["Heard"]


class Heard(NamedTuple):
    """B sessions as a model reads them."""

    rows: Ragged  # catalogue ids; an empty row is one that the model can say nothing of
    kinds: Ragged | None  # code of each event, in rows as long; None: all clicks
    last: NDArray[np.int32]  # (B,) the newest item of interest, 0 where it is unknown

    @classmethod
    def of(cls, vocabulary: Vocabulary, shoppers: Sequence[Shopper], *, typed: bool) -> "Heard":
        """Take shoppers; typed: the model reads skips and dislikes too."""
        if not typed:
            rows = Ragged.look_up(vocabulary, [shopper.interest for shopper in shoppers])
            return cls(rows, None, _last(rows, rows.values))
        items = [shopper.items for shopper in shoppers]
        rows, kinds = Ragged.look_up_events(vocabulary, items, [shopper.codes for shopper in shoppers])
        wanted = np.where(is_wanted(kinds.values), rows.values, PAD)
        places = np.maximum.accumulate(np.where(wanted != PAD, np.arange(len(wanted)), 0))
        return cls(rows, kinds, _last(rows, wanted[places]))

    def of_rows(self, chosen: NDArray[np.int64]) -> "Heard":
        """Return some of the sessions, in the order chosen."""
        kinds = None if self.kinds is None else self.kinds.rows(chosen)
        return Heard(self.rows.rows(chosen), kinds, self.last[chosen])


def _last(rows: Ragged, newest: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return, of each row, the last of the values (T,); PAD where it is empty."""
    found = np.full(len(rows.lengths), PAD, dtype=np.int32)
    some = np.flatnonzero(rows.lengths)
    found[some] = newest[rows.starts[some] + rows.lengths[some] - 1]
    return found
