"""The shift of the simulated shop: nothing is different before it, much is after it."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from demo.click_log import ClickLog
from demo.simulated.shift import Shift, shifted
from demo.simulated.shop import Shop
from demo.simulated.simulator import LOG_DAYS, LOG_START_MS, ShopperConfig, Shoppers, log_shift, simulate_log
from demo.simulated.stock import ShopConfig, first_stock
from export.errors import ConfigError

CONFIG = ShopConfig(items=400, categories=8, brands=6, price_bands=4)
AT_MS = 1_000_000
SHIFT = Shift(at_ms=AT_MS, replaced=0.25)
OLD = first_stock(CONFIG)
NEW = shifted(OLD, SHIFT)


def clicks(shift: Shift | None, sessions: int = 4_000) -> ClickLog:
    return Shoppers(Shop(CONFIG), ShopperConfig(sessions_per_s=2.0), shift=shift).sessions(sessions)


def test_clicks_before_the_shift_are_those_without_it() -> None:
    plain, found = clicks(None), clicks(SHIFT)
    before = plain.ts < AT_MS
    assert 0.2 < before.mean() < 0.8
    np.testing.assert_array_equal(plain.item[before], found.item[before])
    assert (plain.item[~before] != found.item[~before]).mean() > 0.9
    np.testing.assert_array_equal(plain.session, found.session)
    np.testing.assert_array_equal(plain.ts, found.ts)


def test_clicks_same_seeds_are_the_same_and_another_seed_shifts_elsewhere() -> None:
    one, other = clicks(SHIFT), clicks(SHIFT)
    np.testing.assert_array_equal(one.item, other.item)
    elsewhere = clicks(Shift(at_ms=AT_MS, replaced=0.25, seed=1))
    assert (elsewhere.item[one.ts >= AT_MS] != one.item[one.ts >= AT_MS]).mean() > 0.5


def test_items_that_are_gone_are_clicked_no_more_and_newcomers_not_before() -> None:
    log = clicks(SHIFT)
    later = log.ts >= AT_MS
    gone = np.flatnonzero(NEW.weight == 0)
    assert len(gone) == 100
    assert len(NEW.weight) == 500
    assert not np.isin(log.item[later], gone).any()
    assert np.isin(log.item[~later], gone).mean() > 0.1
    assert log.item[~later].max() < 400
    newcomers = log.item[later] >= 400
    assert newcomers.mean() > 0.25  # a quarter of the items, and they draw attention


def test_ids_of_old_items_stay_and_newcomers_have_their_own() -> None:
    shoppers = Shoppers(Shop(CONFIG), shift=SHIFT)
    before, after = shoppers.shop.item_ids(), shoppers.later.item_ids()
    assert after[:400] == before
    assert len(set(after)) == 500
    assert shoppers.later.describe(3) == shoppers.shop.describe(3)


def test_items_kept_are_what_they_were_and_successors_resemble_those_gone() -> None:
    for column in ("category", "brand", "band", "price"):
        np.testing.assert_array_equal(getattr(NEW, column)[:400], getattr(OLD, column))
    gone = np.flatnonzero(NEW.weight == 0)
    for column in ("category", "band", "price"):
        np.testing.assert_array_equal(getattr(NEW, column)[400:], getattr(OLD, column)[gone])


@pytest.mark.parametrize("taste", ["category_taste", "brand_taste", "band_taste"])
def test_tastes_are_turned_and_as_uneven_as_before(taste: str) -> None:
    before, after = getattr(OLD, taste), getattr(NEW, taste)
    assert np.argmax(after) == np.argmin(before)
    np.testing.assert_allclose(np.sort(after), np.sort(before))
    assert after.sum() == pytest.approx(1.0)


def test_companions_are_others() -> None:
    for category in range(CONFIG.categories):
        assert category not in NEW.related[category]
        assert not set(NEW.related[category]) & set(OLD.related[category])


def test_companions_of_a_shop_with_few_categories_may_stay() -> None:
    few = ShopConfig(items=40, categories=2)
    assert shifted(first_stock(few), SHIFT).related.shape == (2, few.related)


def test_nothing_replaced_keeps_every_item() -> None:
    assert (shifted(OLD, Shift(at_ms=0, replaced=0.0)).weight > 0).sum() == 400
    assert (shifted(OLD, Shift(at_ms=0, replaced=1.0)).weight[:400] == 0).all()


def test_live_shoppers_shift_in_the_middle_of_a_slice() -> None:
    habits = ShopperConfig(sessions_per_s=50.0, think_s=1.0)
    shoppers = Shoppers(Shop(CONFIG), habits, shift=Shift(at_ms=10_250, replaced=0.25))
    slices = list(islice(shoppers.live(0, slice_ms=500), 40))
    log = ClickLog(*(np.concatenate(columns) for columns in zip(*slices, strict=True)))
    newcomers = log.ts[log.item >= 400]
    assert 10_250 <= newcomers.min() < 10_400


@pytest.mark.parametrize("bad", [{"replaced": 1.5}, {"replaced": float("nan")}, {"novelty": 0.0}])
def test_impossible_shift_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Shift(at_ms=0, **bad)  # type: ignore[arg-type]


def test_simulate_log_with_a_shift_is_the_same_file_up_to_it(tmp_path: Path) -> None:
    plain, found = tmp_path / "plain.csv", tmp_path / "shift.csv"
    assert simulate_log(plain, CONFIG, 300) == simulate_log(found, CONFIG, 300, shift=log_shift(6.0))
    lines = list(zip(plain.read_text().splitlines(), found.read_text().splitlines(), strict=True))
    same = next(number for number, (one, other) in enumerate(lines) if one != other)
    first_changed_ms = int(lines[same][1].split(",")[2])
    assert first_changed_ms >= LOG_START_MS + 6 * 86_400_000
    assert 0.3 < same / len(lines) < 0.7


@pytest.mark.parametrize("days", [0.0, -1.0, float(LOG_DAYS), 40.0])
def test_log_shift_outside_the_log_is_refused(days: float) -> None:
    with pytest.raises(ConfigError, match="the log has 12"):
        log_shift(days)
