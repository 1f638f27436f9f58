"""The simulated shop: repeatable, ordered, and harder than a table of next-item counts."""

import dataclasses
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from demo.click_log import ClickLog, Ints
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers, simulate_log
from demo.simulated.stock import ShopConfig
from export.errors import ConfigError

SHOP = ShopConfig(items=400, categories=8, brands=6, price_bands=4)
K = 20


def clicks(seed: int = 1, sessions: int = 2_000, shop: ShopConfig = SHOP) -> ClickLog:
    return Shoppers(Shop(shop), ShopperConfig(seed=seed)).sessions(sessions)


def by_session(log: ClickLog) -> ClickLog:
    order = np.argsort(log.session, kind="stable")
    return ClickLog(*(column[order] for column in log))


def test_sessions_same_seed_same_clicks() -> None:
    first, second = clicks(seed=3), clicks(seed=3)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sessions_other_seed_other_clicks() -> None:
    assert clicks(seed=3).item[:200].tolist() != clicks(seed=4).item[:200].tolist()


def test_sessions_keep_order_of_time_and_bounds_of_length() -> None:
    config = ShopperConfig(min_clicks=3, mean_clicks=6.0, max_clicks=10)
    log = Shoppers(Shop(SHOP), config).sessions(3_000)
    assert (np.diff(log.ts) >= 0).all()
    assert log.item.min() >= 0
    assert log.item.max() < SHOP.items
    lengths = np.bincount(log.session)
    assert lengths.min() >= 3
    assert lengths.max() <= 10
    assert lengths.mean() == pytest.approx(6.0, abs=0.5)


def test_sessions_called_twice_number_on() -> None:
    shoppers = Shoppers(Shop(SHOP), first_session=5)
    first, second = shoppers.sessions(10), shoppers.sessions(10)
    assert np.unique(first.session).tolist() == list(range(5, 15))
    assert np.unique(second.session).tolist() == list(range(15, 25))


def test_arrivals_are_poisson() -> None:
    log = by_session(Shoppers(Shop(SHOP), ShopperConfig(sessions_per_s=20.0)).sessions(20_000))
    _, first = np.unique(log.session, return_index=True)
    gaps = np.diff(np.sort(log.ts[first])) / 1000.0
    assert gaps.mean() == pytest.approx(1 / 20, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)  # of an exponential both are equal


def test_popularity_is_skewed() -> None:
    counts = np.sort(np.bincount(clicks(sessions=10_000).item, minlength=SHOP.items))[::-1]
    assert counts[:40].sum() > 0.2 * counts.sum()  # a tenth of the items
    assert counts[-1] < counts[0] / 10


def test_sessions_come_back_to_earlier_items() -> None:
    log = by_session(clicks())
    again = sum(len(items) - len(set(items)) for items in np.split(log.item, np.flatnonzero(np.diff(log.session)) + 1))
    assert 0.05 < again / len(log.item) < 0.4


def test_live_slices_are_whole_in_order_and_repeatable() -> None:
    def run() -> list[ClickLog]:
        habits = ShopperConfig(sessions_per_s=50.0, think_s=1.0)
        return list(islice(Shoppers(Shop(SHOP), habits).live(1_000_000, slice_ms=500), 40))

    first, second = run(), run()
    ts = np.concatenate([log.ts for log in first])
    assert (np.diff(ts) >= 0).all()
    for number, log in enumerate(first):
        assert ((log.ts >= 1_000_000 + 500 * number) & (log.ts < 1_000_500 + 500 * number)).all()
    np.testing.assert_array_equal(ts, np.concatenate([log.ts for log in second]))


def test_live_rate_is_what_was_asked_for() -> None:
    habits = ShopperConfig(sessions_per_s=30.0, mean_clicks=5.0, think_s=0.5)
    slices = list(islice(Shoppers(Shop(SHOP), habits).live(0, slice_ms=1_000), 80))
    steady = sum(len(log.ts) for log in slices[20:]) / 60
    assert steady == pytest.approx(150, rel=0.1)


def recall(lists: Ints, at: Ints, targets: Ints) -> float:
    return float((lists[at] == targets[:, None]).any(axis=1).mean())


@pytest.mark.slow
def test_next_item_counts_beat_popularity_and_a_longer_memory_beats_them() -> None:
    """Counts over the last two items, alone, already know more than the last one: the history carries the intent."""
    log = by_session(clicks(sessions=40_000))
    inside = log.session[1:] == log.session[:-1]
    train = log.session[1:] < 36_000
    last, target = log.item[:-1], log.item[1:]
    counts = np.zeros((SHOP.items, SHOP.items))
    np.add.at(counts, (last[inside & train], target[inside & train]), 1.0)
    popularity = np.bincount(log.item[log.session < 36_000], minlength=SHOP.items)
    counts += popularity / popularity.sum() * 1e-3  # ties
    share = counts / counts.sum(axis=1, keepdims=True)

    three = np.r_[False, inside[:-1] & inside[1:]] & ~train  # both clicks before are of the same session
    at, before, wanted = last[three], log.item[:-2][three[1:]], target[three]
    top = np.argsort(-popularity, kind="stable")[:K]
    popular = float(np.isin(wanted, top).mean())
    one = recall(np.argsort(-counts, axis=1)[:, :K], at, wanted)
    both = np.argsort(-(share[at] + share[before]), axis=1)[:, :K]
    two = float((both == wanted[:, None]).any(axis=1).mean())
    assert one > 1.8 * popular
    assert two > one + 0.02


@pytest.mark.parametrize(
    "habits",
    [ShopperConfig(sessions_per_s=0.0), ShopperConfig(mean_clicks=1.0), ShopperConfig(mean_clicks=99.0)],
    ids=["rate", "short", "long"],
)
def test_shoppers_impossible_config_is_refused(habits: ShopperConfig) -> None:
    with pytest.raises(ConfigError):
        Shoppers(Shop(SHOP), habits)


def test_shop_with_one_category_still_works() -> None:
    log = Shoppers(Shop(ShopConfig(items=5, categories=1, brands=9, price_bands=3))).sessions(50)
    assert set(log.item.tolist()) <= set(range(5))


def test_simulate_log_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    count = simulate_log(tmp_path / "a.csv", SHOP, 50)
    assert simulate_log(tmp_path / "b.csv", SHOP, 50) == count
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_simulate_log_other_shoppers_click_otherwise_in_the_same_shop(tmp_path: Path) -> None:
    simulate_log(tmp_path / "a.csv", SHOP, 400)
    simulate_log(tmp_path / "b.csv", SHOP, 400, shopper_seed=SHOP.seed)
    simulate_log(tmp_path / "c.csv", SHOP, 400, shopper_seed=SHOP.seed + 1)
    simulate_log(tmp_path / "d.csv", dataclasses.replace(SHOP, seed=SHOP.seed + 1), 400)
    a, b, c, d = ((tmp_path / f"{name}.csv").read_text() for name in "abcd")
    assert a == b
    assert not sessions_of(a) & sessions_of(c), "one is a test log for the other"
    assert len(sessions_of(c)) == 400
    same_shop, other_shop = (popular(a) & popular(other) for other in (c, d))
    assert len(same_shop) > 3 * len(other_shop)


def sessions_of(log: str) -> set[str]:
    return {line.split(",")[0] for line in log.splitlines()[1:]}


def popular(log: str) -> set[str]:
    """The thirty items clicked most."""
    items = Counter(line.split(",")[1] for line in log.splitlines()[1:])
    return {item for item, _ in items.most_common(30)}
