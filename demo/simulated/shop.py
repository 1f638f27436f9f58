"""A simulated shop as its shoppers meet it: items drawn from what they have in mind, and put into words.

Legend: V items, C categories, B brands, P price bands. Items are 0..V-1; `item_ids` names them.
"""

import numpy as np

from demo.click_log import Ints
from demo.simulated.stock import Floats, ShopConfig, Stock, first_stock

__all__ = ["Shop"]


class Shop:
    """The catalogue: category, brand and price of each item, and how items are drawn from a group of them.

    Attributes: category, brand, band int64 (V,); price float64 (V,) euros; `stock` has the tastes as well.
    """

    def __init__(self, config: ShopConfig = ShopConfig(), stock: Stock | None = None) -> None:
        """`stock`: what it sells, left out: what it opens with. ConfigError for a shop that can't be."""
        self.config = config
        self.stock = stock = stock or first_stock(config)
        self.category, self.brand, self.band, self.price = stock.category, stock.brand, stock.band, stock.price
        categories, brands, bands = config.categories, config.brands, config.price_bands
        self._by_category = _Draw(stock.category, stock.weight, categories)
        self._by_brand = _Draw(stock.category * brands + stock.brand, stock.weight, categories * brands)
        self._by_band = _Draw(stock.category * bands + stock.band, stock.weight, categories * bands)

    def item_ids(self) -> list[str]:
        """Names of items 0..V-1 on the wire."""
        return [f"i{index:05d}" for index in range(len(self.category))]

    def describe(self, item: int) -> str:
        """One line for people: category, brand and price."""
        category, brand = int(self.category[item]), int(self.brand[item])
        kind = _CATEGORIES[category % len(_CATEGORIES)]
        maker = _BRANDS[brand % len(_BRANDS)]
        return f"{kind} · {maker} · {self.price[item]:.2f} €"

    def draw(self, rng: np.random.Generator, category: Ints, brand: Ints, band: Ints, astray: float) -> Ints:
        """Draw an item a shopper (n,): by category and brand, by category and price band, or (`astray`) by category."""
        side, at = rng.random(len(category)), rng.random(len(category))
        brands, bands = self.config.brands, self.config.price_bands
        by_brand = self._by_brand.items(category * brands + brand, at)
        by_band = self._by_band.items(category * bands + band, at)
        chosen = np.where(side < 0.5, by_brand, by_band)
        lost = (side > 1.0 - astray) | (chosen < 0)  # also a brand or band that sells nothing in the category
        if lost.any():
            chosen[lost] = self._by_category.items(category[lost], at[lost])
        return chosen


class _Draw:
    """Draws by weight from numbered groups, all at once: one binary search in cumulative shares laid end to end."""

    def __init__(self, group: Ints, weight: Floats, groups: int) -> None:
        sold = np.flatnonzero(weight)
        group, weight = group[sold], weight[sold]
        order = np.argsort(group, kind="stable")
        self._items = sold[order]
        counts = np.bincount(group, minlength=groups)
        self._end = np.cumsum(counts)
        self._empty = counts == 0
        total = np.bincount(group, weight, groups)
        running = np.cumsum(weight[order])
        before = np.concatenate([[0.0], running])[self._end - counts]  # weight of the groups before
        grouped = group[order]
        share = (running - before[grouped]) / total[grouped]
        self._cdf = grouped + np.minimum(share, 1.0)  # group g lies in (g, g + 1]

    def items(self, group: Ints, at: Floats) -> Ints:
        """Items at shares `at` (n,) in [0, 1) of their groups (n,); -1 where the group is empty."""
        place = np.minimum(np.searchsorted(self._cdf, group + at, side="right"), self._end[group] - 1)
        return np.where(self._empty[group], -1, self._items[place])


_CATEGORIES = (
    *("phone", "phone case", "headphones", "laptop", "laptop bag", "monitor", "keyboard", "camera", "lens", "tripod"),
    *("trail shoe", "running sock", "rain jacket", "backpack", "tent", "sleeping bag", "stove", "knife", "pan"),
    *("coffee grinder", "espresso machine", "desk lamp", "office chair", "bookshelf"),
)
_BRANDS = (
    *("Alder", "Borealis", "Castor", "Dune", "Ember", "Fjord", "Grove", "Halcyon", "Isar", "Juniper", "Kestrel"),
    "Lumen",
)
