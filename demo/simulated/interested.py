"""Shoppers whose several interests are known: what a list should hold can be told without a model.

A shopper has one to four interests, each a category, a brand and a price band of its own, in no relation to each other.
Each click follows one of them, mostly the one of the click before: an item of its category by brand or by price band,
or (`astray`) any. Nothing else is remembered, so that whatever a model gains, it gains by telling interests apart.

Legend: S shoppers, L clicks of the longest history, I interests a shopper may have.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from demo.click_log import Ints
from demo.simulated.shop import Shop
from export.checks import require_finite
from export.errors import ConfigError
from export.items.item import Item

__all__ = ["Histories", "InterestedConfig", "histories", "items_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestedConfig:
    """How these shoppers behave. Shares are probabilities a click."""

    shoppers: int = 6_000
    interests: int = 4  # at most; as many shoppers have one as have four
    mean_clicks: float = 20.0  # geometric above `min_clicks`
    min_clicks: int = 6
    max_clicks: int = 60
    stay: float = 0.6  # with the interest of the click before
    astray: float = 0.06
    seed: int = 1

    def __post_init__(self) -> None:
        """ConfigError for values without a meaning."""
        require_finite(self)
        if min(self.shoppers, self.interests) < 1 or not 2 <= self.min_clicks <= self.mean_clicks <= self.max_clicks:
            raise ConfigError("there must be shoppers and interests, and 2 <= min_clicks <= mean_clicks <= max_clicks")


class Histories(NamedTuple):
    """Clicks of all shoppers, and what each of them wanted. Items are 0..V-1."""

    items: Ints  # (T,) shopper after shopper
    offsets: Ints  # (S + 1,)
    interest: Ints  # (T,) which of the shopper's interests a click followed
    category: Ints  # (S, I) of each interest, -1 where the shopper has fewer


def histories(shop: Shop, config: InterestedConfig) -> Histories:
    """Return the histories of `config.shoppers` shoppers of a shop; the same config gives the same ones."""
    rng = np.random.default_rng([config.seed, 7])
    count, most, stock = config.shoppers, min(config.interests, shop.config.categories), shop.stock
    category = np.argsort(rng.exponential(1.0, (count, shop.config.categories)) / stock.category_taste, axis=1)[
        :, :most
    ]  # (S, I) different ones, by how well they are liked
    brand = rng.choice(len(stock.brand_taste), (count, most), p=stock.brand_taste)
    band = rng.choice(len(stock.band_taste), (count, most), p=stock.band_taste)
    has = rng.integers(1, most + 1, count)  # (S,)
    extra = rng.geometric(1.0 / (1.0 + config.mean_clicks - config.min_clicks), count) - 1
    lengths = np.minimum(config.min_clicks + extra, config.max_clicks)
    items = np.zeros((count, int(lengths.max())), np.int64)
    follows = np.zeros_like(items)
    rows, now = np.arange(count), rng.integers(0, has)
    for step in range(items.shape[1]):
        turns = rng.random(count) >= config.stay
        now = np.where(turns, rng.integers(0, has), now)
        items[:, step] = shop.draw(rng, category[rows, now], brand[rows, now], band[rows, now], config.astray)
        follows[:, step] = now
    real = np.arange(items.shape[1]) < lengths[:, None]
    return Histories(
        items=items[real],
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        interest=follows[real],
        category=np.where(np.arange(most) < has[:, None], category, -1),
    )


def items_of(shop: Shop) -> list[Item]:
    """Return the shop's items with category, brand and price."""
    columns = zip(shop.item_ids(), shop.category.tolist(), shop.brand.tolist(), shop.price.tolist(), strict=True)
    return [
        Item(item_id=name, attributes={"category": (f"c{category}",), "brand": (f"b{brand}",)}, price=price)
        for name, category, brand, price in columns
    ]
