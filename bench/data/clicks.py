"""The clicks of a benchmark: of a real log, or of the simulated shop."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from model.data.readers import iter_clicks, read_log

Click = tuple[str, str, int]  # session id, item id, ts (ms)


def read_clicks(path: Path, limit: int) -> list[Click]:
    """The first `limit` clicks of a log in the order of time."""
    return [(session, item, ts) for session, item, ts, _ in islice(iter_clicks(read_log(path)), limit)]


def simulate_clicks(items: int, limit: int) -> list[Click]:
    """The first `limit` clicks of the simulator's shop in the order of time; about 4 a session."""
    shop = Shop(ShopConfig(items=items))
    log = Shoppers(shop, ShopperConfig(sessions_per_s=20)).sessions(limit // 4)
    names = shop.item_ids()
    rows = zip(log.session[:limit].tolist(), log.item[:limit].tolist(), log.ts[:limit].tolist(), strict=True)
    return [(f"s{session}", names[item], ts) for session, item, ts in rows]


def in_catalogue(clicks: list[Click], size: int) -> list[str]:
    """A catalogue of at least `size` items that holds every item clicked."""
    items = sorted({item for _, item, _ in clicks})
    return items + [f"unclicked-{number}" for number in range(size - len(items))]
