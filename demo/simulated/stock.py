"""What a simulated shop sells, and what its shoppers like: the arrays that all else is drawn from.

Legend: V items, C categories, B brands, P price bands. Items are 0..V-1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.click_log import Ints
from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["Floats", "ShopConfig", "Stock", "companions", "first_stock"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopConfig:
    """What the shop sells."""

    items: int = 3_000  # V; small enough to learn in half a minute, large enough that 20 guesses are few
    categories: int = 24  # C; 125 items a category on average: the category alone does not make a list of 20
    brands: int = 12  # B; every brand sells in every category
    price_bands: int = 6  # P; bands of equal count within a category
    zipf: float = 0.7  # exponent of the popularity by rank, within and across categories
    related: int = 3  # categories that go with a category; the companion is one of them
    seed: int = 0  # of the catalogue alone; shoppers have their own

    def __post_init__(self) -> None:
        """ConfigError for a number that is none."""
        require_finite(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stock:
    """Items and tastes at one time. An item of weight 0 is not sold, its number stays."""

    category: Ints  # (V,)
    brand: Ints  # (V,)
    band: Ints  # (V,)
    price: Floats  # (V,), euros
    weight: Floats  # (V,), popularity, sums to 1
    category_taste: Floats  # (C,), how many sessions begin there, sums to 1
    brand_taste: Floats  # (B,), sums to 1
    band_taste: Floats  # (P,), sums to 1
    related: Ints  # (C, related), the categories that go with each


def first_stock(config: ShopConfig) -> Stock:
    """What the shop opens with; ConfigError for a shop that can't be."""
    if min(config.items, config.categories, config.brands, config.price_bands) < 1:
        raise ConfigError("a shop needs at least one item, category, brand and price band")
    if config.items < config.categories:
        raise ConfigError(f"{config.items} items are too few for {config.categories} categories")
    rng = np.random.default_rng([config.seed, 0])
    category = rng.permutation(np.arange(config.items) % config.categories)
    brand = rng.integers(0, config.brands, config.items)
    level = rng.lognormal(3.5, 0.8, config.categories)  # what a category costs
    price = np.round(level[category] * rng.lognormal(0.0, 0.5, config.items), 2) + 0.99
    weight = (1.0 + rng.permutation(config.items)) ** -config.zipf
    weight = weight / weight.sum()
    return Stock(
        category=category,
        brand=brand,
        band=_bands(category, price, config),
        price=price,
        weight=weight,
        category_taste=np.bincount(category, weight, config.categories).astype(np.float64),
        brand_taste=_skewed(config.brands),
        band_taste=_skewed(config.price_bands),
        related=companions(rng, config.categories, config.related),
    )


def companions(rng: np.random.Generator, categories: int, related: int, unlike: Ints | None = None) -> Ints:
    """Categories (C, related) that go with each; a category itself where the shop has no other.

    `unlike` (C, any): those it must not be, as long as enough others are left.
    """
    rows = []
    for category in range(categories):
        others = np.setdiff1d(np.arange(categories), [category])
        fresh = np.setdiff1d(others, unlike[category]) if unlike is not None else others
        others = fresh if len(fresh) >= related else others
        enough = len(others) >= related
        rows.append(rng.permutation(others)[:related] if enough else np.full(related, category))
    return np.stack(rows)


def _skewed(count: int) -> Floats:
    """Shares (count,), the first ones larger: brands and price bands are not equally liked."""
    weight = (1.0 + np.arange(count, dtype=np.float64)) ** -0.5
    return np.asarray(weight / weight.sum(), np.float64)


def _bands(category: Ints, price: Floats, config: ShopConfig) -> Ints:
    """Price band of each item (V,): equal counts within its category, cheapest first."""
    order = np.lexsort((price, category))
    counts = np.bincount(category, minlength=config.categories)
    rank = np.arange(len(category)) - np.repeat(np.cumsum(counts) - counts, counts)
    band = np.empty(len(category), np.int64)
    band[order] = rank * config.price_bands // np.repeat(counts, counts)
    return band
