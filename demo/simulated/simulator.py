"""Shoppers of a simulated shop: sessions whose next click depends on more than the last one.

How a shopper clicks. A session has a hidden intent: a category, a companion category (phones and cases), a brand and a
price band. Each click looks at one side of the intent only: an item of the brand at any price, or one of the price band
of any brand. One click therefore cannot say which of its properties was meant; several clicks together can, and the
companion shows in the history alone. This is what a sequence model can use and a table of next-item counts cannot.
Sometimes the shopper goes back to an item seen before, and the intent drifts: another brand, price band or category.

Where the shop shifts (shift.py), whoever is in it at that moment begins anew, with an intent of the new time.

Legend: S sessions, T clicks, V items. Items are 0..V-1.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from demo.click_log import ClickLog, Ints, write_click_log
from demo.simulated.shift import Shift, shifted
from demo.simulated.shop import Shop
from demo.simulated.stock import Floats, ShopConfig
from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["LOG_START_MS", "ShopperConfig", "Shoppers", "log_shift", "recent_log", "simulate_log"]

DAY_MS = 86_400_000
LOG_START_MS = 1_767_225_600_000  # 2026-01-01: a written log depends on nothing but its seed
LOG_DAYS = 12  # so that the newest day is less than the newest tenth
_SESSIONS_OF_A_SEED = 100_000_000  # the numbers of other shoppers' sessions begin at as many times their seed
Bools = npt.NDArray[np.bool_]


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


class Shoppers:
    """Sessions that arrive as a Poisson process. The same shop, config and calls give the same clicks.

    With a shift these are the same sessions at the same times, and the same clicks before it.
    """

    def __init__(
        self,
        shop: Shop,
        config: ShopperConfig = ShopperConfig(),
        *,
        first_session: int = 0,
        shift: Shift | None = None,
    ) -> None:
        """`first_session` is the number of the first session. ConfigError for rates and lengths that make no sense."""
        if config.sessions_per_s <= 0 or config.think_s <= 0:
            raise ConfigError("sessions_per_s and think_s must be above 0")
        if not 1 <= config.min_clicks <= config.mean_clicks <= config.max_clicks:
            raise ConfigError("session lengths must obey 1 <= min_clicks <= mean_clicks <= max_clicks")
        self.shop, self.config, self._shift = shop, config, shift
        self.later = shop if shift is None else Shop(shop.config, shifted(shop.stock, shift))  # after the shift
        self._rng = np.random.default_rng([config.seed, 1])
        self._later_rng = np.random.default_rng([config.seed, 2])  # of its own: the clicks before depend on no shift
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
        items = self._walk(self.shop, self._rng, lengths)  # (S, L), L the longest
        steps = np.arange(items.shape[1])
        real = steps < lengths[:, None]  # (S, L)
        think = self._rng.lognormal(-0.5, 1.0, items.shape)  # (S, L), mean 1
        think[:, :1] = 0.0
        ts = (arrivals[:, None] + np.cumsum(think, axis=1) * self.config.think_s * 1000.0).astype(np.int64)
        if self._shift is not None:
            self._walk_on(items, real & (ts >= self._shift.at_ms))
        numbers = np.arange(self._next_session, self._next_session + count)
        self._next_session += count
        return _by_time(np.broadcast_to(numbers[:, None], items.shape)[real], items[real], ts[real])

    def _lengths(self, count: int) -> Ints:
        config = self.config
        extra = self._rng.geometric(1.0 / (1.0 + config.mean_clicks - config.min_clicks), count) - 1
        return np.minimum(config.min_clicks + extra, config.max_clicks).astype(np.int64)

    def _walk_on(self, items: Ints, later: Bools) -> None:
        """Put into `items` (S, L) what is clicked after the shift: `later` (S, L), the last clicks of each session."""
        lengths = later.sum(axis=1)
        touched = np.flatnonzero(lengths)
        if len(touched):
            walk = self._walk(self.later, self._later_rng, lengths[touched])
            items[later] = walk[np.arange(walk.shape[1]) < lengths[touched][:, None]]

    def _walk(self, shop: Shop, rng: np.random.Generator, lengths: Ints) -> Ints:
        """Items (S, L) the shoppers click, one column a step for all sessions that still go on; the rest is 0."""
        config = self.config
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
        stock = shop.stock
        category = _liked(rng, stock.category_taste, count)
        companion = stock.related[category, rng.integers(0, stock.related.shape[1], count)]
        return cls(category, companion, _liked(rng, stock.brand_taste, count), _liked(rng, stock.band_taste, count))

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


def recent_log(shop: Shop, sessions: int, days: float, seed: int) -> ClickLog:
    """The log of `sessions` shopper sessions over so many days, that ends now."""
    span_ms = days * DAY_MS
    log = Shoppers(shop, ShopperConfig(sessions_per_s=sessions / span_ms * 1000.0, seed=seed)).sessions(sessions)
    return log._replace(ts=log.ts - log.ts[-1] + time.time_ns() // 1_000_000)


def log_shift(after_days: float) -> Shift:
    """A shift so many days after a written log begins; ConfigError where the log is over by then."""
    if not 0 < after_days < LOG_DAYS:
        raise ConfigError(
            f"a shift after {after_days:g} days is none: the log has {LOG_DAYS}, give more than 0 and less"
        )
    return Shift(at_ms=LOG_START_MS + round(after_days * DAY_MS))


def simulate_log(
    path: Path, shop: ShopConfig, sessions: int, *, shopper_seed: int | None = None, shift: Shift | None = None
) -> int:
    """Write the log of `sessions` shopper sessions, over some 12 days, and return how many clicks it has.

    Shoppers of another `shopper_seed` (the shop's own by default) want and click other things in the same shop, where
    items keep their names, kinds and prices; their sessions have numbers of their own.
    """
    seed = shop.seed if shopper_seed is None else shopper_seed
    habits = ShopperConfig(sessions_per_s=max(sessions, 1) / (LOG_DAYS * DAY_MS / 1000.0), seed=seed)
    first_session = 0 if seed == shop.seed else seed * _SESSIONS_OF_A_SEED
    shoppers = Shoppers(Shop(shop), habits, first_session=first_session, shift=shift)
    log = shoppers.sessions(sessions, start_ms=LOG_START_MS)
    write_click_log(path, shoppers.later.item_ids(), log)
    return len(log.ts)


def _by_time(session: Ints, item: Ints, ts: Ints) -> ClickLog:
    order = np.argsort(ts, kind="stable")
    return ClickLog(session[order], item[order], ts[order])


def _liked(rng: np.random.Generator, taste: Floats, count: int) -> Ints:
    """Numbers (count,) drawn by their shares in `taste`."""
    return rng.choice(len(taste), count, p=taste).astype(np.int64)
