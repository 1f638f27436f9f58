"""The day on which a simulated shop is another one: other tastes, other goods, from one click to the next.

What changes: the least popular categories are now the most popular, and so are brands and price bands; each category
goes with others than before; which item of its kind is popular is drawn anew; a share of the items is gone. Each of
those has a successor of the same category and price, another brand and an id of its own, and newcomers draw attention.
What stays: the other items are what they were, and all shares are as uneven as before. So the shop is no harder to
learn after the shift than it was, and whoever learns it anew gets about the hit rate of before.
"""

from dataclasses import dataclass

import numpy as np

from demo.simulated.stock import Floats, Stock, companions
from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["Shift", "shifted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """When, and how much."""

    at_ms: int  # time in the log, ms since the epoch: the clicks from then on are of the shop as it is then
    replaced: float = 0.2  # share of the items that are gone, and have successors
    novelty: float = 2.0  # how much more often a newcomer is clicked than another item of its rank
    seed: int = 0  # of what the shop turns into

    def __post_init__(self) -> None:
        """ConfigError for a number that is none, or no share."""
        require_finite(self)
        if not 0 <= self.replaced <= 1 or self.novelty <= 0:
            raise ConfigError("shift: `replaced` is a share, 0 to 1, and `novelty` is above 0")


def shifted(stock: Stock, shift: Shift) -> Stock:
    """The stock after the shift. Items keep their numbers, gone ones weigh 0, newcomers are numbered on."""
    rng = np.random.default_rng([shift.seed, 3])
    items = len(stock.weight)
    gone = np.sort(rng.choice(items, round(items * shift.replaced), replace=False))
    kept = np.ones(items + len(gone), np.bool_)
    kept[gone] = False
    weight = np.zeros(len(kept))
    weight[kept] = rng.permutation(stock.weight)
    weight[items:] *= shift.novelty
    return Stock(
        category=np.concatenate([stock.category, stock.category[gone]]),
        brand=np.concatenate([stock.brand, rng.integers(0, len(stock.brand_taste), len(gone))]),
        band=np.concatenate([stock.band, stock.band[gone]]),
        price=np.concatenate([stock.price, stock.price[gone]]),
        weight=weight / weight.sum(),
        category_taste=_turned(stock.category_taste),
        brand_taste=_turned(stock.brand_taste),
        band_taste=_turned(stock.band_taste),
        related=companions(rng, len(stock.category_taste), stock.related.shape[1], unlike=stock.related),
    )


def _turned(taste: Floats) -> Floats:
    """The same shares, the largest where the smallest was."""
    order = np.argsort(taste, kind="stable")
    turned = np.empty_like(taste)
    turned[order] = taste[order[::-1]]
    return turned
