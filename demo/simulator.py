"""A simulated shop: its catalogue, and click sessions whose next click depends on more than the last one.

How a shopper clicks. A session has a hidden intent: a category, a companion category (phones and cases), a brand and a
price band. Each click looks at one side of the intent only: an item of the brand at any price, or one of the price band
of any brand. One click therefore cannot say which of its properties was meant; several clicks together can, and the
companion shows in the history alone. This is what a sequence model can use and a table of next-item counts cannot.
Sometimes the shopper goes back to an item seen before, and the intent drifts: another brand, price band or category.

Legend: S sessions, T clicks, V items, C categories, B brands, P price bands. Items are 0..V-1; `item_ids` names them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from demo.click_log import ClickLog, Ints, write_click_log
from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["Shop", "ShopConfig", "ShopperConfig", "Shoppers", "simulate_log"]

LOG_START_MS = 1_767_225_600_000  # 2026-01-01: a written log depends on nothing but its seed
_SESSIONS_OF_A_SEED = 100_000_000  # the numbers of other shoppers' sessions begin at as many times their seed
LOG_SECONDS = 12 * 86_400  # so that the newest day is less than the newest tenth
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopperConfig:
    """How shoppers behave. Shares are probabilities a click."""

    sessions_per_s: float = 1.0  # mean of the Poisson arrivals
    mean_clicks: float = 9.0  # mean length of a session; geometric, at least `min_clicks`
    min_clicks: int = 2  # shorter visits teach nothing
    max_clicks: int = 60  # a little above the 50 clicks a model sees
    think_s: float = 15.0  # mean seconds between two clicks; log-normal
    repeat: float = 0.12  # goes back to an item of this session
    switch: float = 0.18  # turns to the companion category, or back
    drift: float = 0.04  # changes brand, price band or category; the old intent is gone
    astray: float = 0.06  # clicks anything in the category
    seed: int = 1

    def __post_init__(self) -> None:
        """ConfigError for a number that is none."""
        require_finite(self)


class Shop:
    """The catalogue: category, brand and price of each item, and how items are drawn from a group of them.

    Attributes: category, brand, band int64 (V,); price float64 (V,) euros; weight float64 (V,) popularity, sums to 1.
    """

    def __init__(self, config: ShopConfig = ShopConfig()) -> None:
        if min(config.items, config.categories, config.brands, config.price_bands) < 1:
            raise ConfigError("a shop needs at least one item, category, brand and price band")
        if config.items < config.categories:
            raise ConfigError(f"{config.items} items are too few for {config.categories} categories")
        rng = np.random.default_rng([config.seed, 0])
        self.config = config
        self.category = rng.permutation(np.arange(config.items) % config.categories)
        self.brand = rng.integers(0, config.brands, config.items)
        level = rng.lognormal(3.5, 0.8, config.categories)  # what a category costs
        self.price = np.round(level[self.category] * rng.lognormal(0.0, 0.5, config.items), 2) + 0.99
        self.band = _bands(self.category, self.price, config)
        weight = (1.0 + rng.permutation(config.items)) ** -config.zipf
        self.weight = weight / weight.sum()
        self.category_weight = np.bincount(self.category, self.weight, config.categories)
        self.related = np.stack([_others(rng, c, config) for c in range(config.categories)])  # (C, related)
        categories, brands, bands = config.categories, config.brands, config.price_bands
        self._by_category = _Draw(self.category, self.weight, categories)
        self._by_brand = _Draw(self.category * brands + self.brand, self.weight, categories * brands)
        self._by_band = _Draw(self.category * bands + self.band, self.weight, categories * bands)

    def item_ids(self) -> list[str]:
        """Names of items 0..V-1 on the wire."""
        return [f"i{index:05d}" for index in range(self.config.items)]

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
        self._order = np.argsort(group, kind="stable")
        counts = np.bincount(group, minlength=groups)
        self._end = np.cumsum(counts)
        self._empty = counts == 0
        total = np.bincount(group, weight, groups)
        running = np.cumsum(weight[self._order])
        before = np.concatenate([[0.0], running])[self._end - counts]  # weight of the groups before
        grouped = group[self._order]
        share = (running - before[grouped]) / total[grouped]
        self._cdf = grouped + np.minimum(share, 1.0)  # group g lies in (g, g + 1]

    def items(self, group: Ints, at: Floats) -> Ints:
        """Items at shares `at` (n,) in [0, 1) of their groups (n,); -1 where the group is empty."""
        place = np.minimum(np.searchsorted(self._cdf, group + at, side="right"), self._end[group] - 1)
        return np.where(self._empty[group], -1, self._order[place])


class Shoppers:
    """Sessions that arrive as a Poisson process. The same shop, config and calls give the same clicks."""

    def __init__(self, shop: Shop, config: ShopperConfig = ShopperConfig(), *, first_session: int = 0) -> None:
        """`first_session` is the number of the first session. ConfigError for rates and lengths that make no sense."""
        if config.sessions_per_s <= 0 or config.think_s <= 0:
            raise ConfigError("sessions_per_s and think_s must be above 0")
        if not 1 <= config.min_clicks <= config.mean_clicks <= config.max_clicks:
            raise ConfigError("session lengths must obey 1 <= min_clicks <= mean_clicks <= max_clicks")
        self.shop, self.config = shop, config
        self._rng = np.random.default_rng([config.seed, 1])
        self._next_session = first_session

    def sessions(self, count: int, start_ms: int = 0) -> ClickLog:
        """Clicks of the next `count` sessions, the first of which arrives after `start_ms`."""
        gaps = self._rng.exponential(1000.0 / self.config.sessions_per_s, count)
        return self._clicks(start_ms + np.cumsum(gaps))

    def live(self, start_ms: int, slice_ms: int = 2_000) -> Iterator[ClickLog]:
        """Endless clicks from `start_ms` on, in the order of their time, a log for each `slice_ms`."""
        waiting = ClickLog(*(np.empty(0, np.int64) for _ in range(3)))
        while True:
            count = int(self._rng.poisson(self.config.sessions_per_s * slice_ms / 1000.0))
            arrivals = start_ms + np.sort(self._rng.random(count)) * slice_ms
            start_ms += slice_ms
            waiting = _by_time(*(np.concatenate(pair) for pair in zip(waiting, self._clicks(arrivals), strict=True)))
            due = int(np.searchsorted(waiting.ts, start_ms))
            yield ClickLog(*(column[:due] for column in waiting))
            waiting = ClickLog(*(column[due:] for column in waiting))

    def _clicks(self, arrivals: Floats) -> ClickLog:
        """All clicks of sessions that arrive at these times (S,), float64 ms."""
        count = len(arrivals)
        lengths = self._lengths(count)
        items = self._walk(lengths)  # (S, L), L the longest
        steps = np.arange(items.shape[1])
        real = steps < lengths[:, None]  # (S, L)
        think = self._rng.lognormal(-0.5, 1.0, items.shape)  # (S, L), mean 1
        think[:, :1] = 0.0
        ts = (arrivals[:, None] + np.cumsum(think, axis=1) * self.config.think_s * 1000.0).astype(np.int64)
        numbers = np.arange(self._next_session, self._next_session + count)
        self._next_session += count
        return _by_time(np.broadcast_to(numbers[:, None], items.shape)[real], items[real], ts[real])

    def _lengths(self, count: int) -> Ints:
        config = self.config
        extra = self._rng.geometric(1.0 / (1.0 + config.mean_clicks - config.min_clicks), count) - 1
        return np.minimum(config.min_clicks + extra, config.max_clicks).astype(np.int64)

    def _walk(self, lengths: Ints) -> Ints:
        """Items (S, L) the shoppers click, one column a step for all sessions that still go on; the rest is 0."""
        rng, config, shop = self._rng, self.config, self.shop
        count = len(lengths)
        items = np.zeros((count, int(lengths.max(initial=1))), np.int64)
        order = np.argsort(-lengths, kind="stable")  # longest first: those still going on are a head of the arrays
        alive_at = count - np.searchsorted(np.sort(lengths), np.arange(items.shape[1]), side="right")
        intent = _Intent.draw(rng, shop, count)
        for step, alive in enumerate(alive_at.tolist()):
            intent = intent.head(alive)
            if step:
                intent.move(rng, shop, config)
            chosen = shop.draw(rng, intent.category, intent.brand, intent.band, config.astray)
            if step:
                back = np.flatnonzero(rng.random(alive) < config.repeat)
                chosen[back] = items[order[back], rng.integers(0, step, len(back))]
            items[order[:alive], step] = chosen
        return items


class _Intent(NamedTuple):
    """What shoppers have in mind, all int64 (S,), changed in place as it drifts."""

    category: Ints
    companion: Ints
    brand: Ints
    band: Ints

    @classmethod
    def draw(cls, rng: np.random.Generator, shop: Shop, count: int) -> "_Intent":
        category = rng.choice(shop.config.categories, count, p=shop.category_weight).astype(np.int64)
        companion = shop.related[category, rng.integers(0, shop.related.shape[1], count)]
        brand, band = (_skewed(rng, size, count) for size in (shop.config.brands, shop.config.price_bands))
        return cls(category, companion, brand, band)

    def head(self, count: int) -> "_Intent":
        return _Intent(*(column[:count] for column in self))

    def move(self, rng: np.random.Generator, shop: Shop, config: ShopperConfig) -> None:
        """Before a click: turn to the companion and back, or let one side of the intent drift."""
        luck = rng.random(len(self.category))
        turn = np.flatnonzero(luck < config.switch)
        self.category[turn], self.companion[turn] = self.companion[turn], self.category[turn]
        drift = np.flatnonzero(luck > 1.0 - config.drift)
        if not len(drift):
            return
        fresh, side = _Intent.draw(rng, shop, len(drift)), rng.integers(0, 3, len(drift))
        self.brand[drift] = np.where(side == 0, fresh.brand, self.brand[drift])
        self.band[drift] = np.where(side == 1, fresh.band, self.band[drift])
        self.companion[drift] = np.where(side == 2, fresh.companion, self.companion[drift])
        self.category[drift] = np.where(side == 2, fresh.category, self.category[drift])


def simulate_log(path: Path, shop: ShopConfig, sessions: int, *, shopper_seed: int | None = None) -> int:
    """Write the log of `sessions` shopper sessions, over some 12 days, and return how many clicks it has.

    Shoppers of another `shopper_seed` (the shop's own by default) want and click other things in the same shop, where
    items keep their names, kinds and prices; their sessions have numbers of their own.
    """
    place, seed = Shop(shop), shop.seed if shopper_seed is None else shopper_seed
    habits = ShopperConfig(sessions_per_s=max(sessions, 1) / LOG_SECONDS, seed=seed)
    first_session = 0 if seed == shop.seed else seed * _SESSIONS_OF_A_SEED
    log = Shoppers(place, habits, first_session=first_session).sessions(sessions, start_ms=LOG_START_MS)
    write_click_log(path, place.item_ids(), log)
    return len(log.ts)


def _by_time(session: Ints, item: Ints, ts: Ints) -> ClickLog:
    order = np.argsort(ts, kind="stable")
    return ClickLog(session[order], item[order], ts[order])


def _skewed(rng: np.random.Generator, count: int, size: int) -> Ints:
    """Numbers 0..count-1, the first ones more often: brands and price bands are not equally liked."""
    weight = (1.0 + np.arange(count)) ** -0.5
    return rng.choice(count, size, p=weight / weight.sum()).astype(np.int64)


def _others(rng: np.random.Generator, category: int, config: ShopConfig) -> Ints:
    """Categories that go with `category` (related,); the category itself where the shop has no other."""
    others = np.setdiff1d(np.arange(config.categories), [category])
    enough = len(others) >= config.related
    return rng.permutation(others)[: config.related] if enough else np.full(config.related, category)


def _bands(category: Ints, price: Floats, config: ShopConfig) -> Ints:
    """Price band of each item (V,): equal counts within its category, cheapest first."""
    order = np.lexsort((price, category))
    counts = np.bincount(category, minlength=config.categories)
    rank = np.arange(len(category)) - np.repeat(np.cumsum(counts) - counts, counts)
    band = np.empty(len(category), np.int64)
    band[order] = rank * config.price_bands // np.repeat(counts, counts)
    return band


_CATEGORIES = (
    *("phone", "phone case", "headphones", "laptop", "laptop bag", "monitor", "keyboard", "camera", "lens", "tripod"),
    *("trail shoe", "running sock", "rain jacket", "backpack", "tent", "sleeping bag", "stove", "knife", "pan"),
    *("coffee grinder", "espresso machine", "desk lamp", "office chair", "bookshelf"),
)
_BRANDS = (
    *("Alder", "Borealis", "Castor", "Dune", "Ember", "Fjord", "Grove", "Halcyon", "Isar", "Juniper", "Kestrel"),
    "Lumen",
)
