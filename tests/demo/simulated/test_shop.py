"""The catalogue of the simulated shop: ids, categories, prices and the bands they fall into."""

import numpy as np
import pytest

from demo.simulated.shop import Shop
from demo.simulated.simulator import Shoppers
from demo.simulated.stock import ShopConfig
from export.errors import ConfigError

SHOP = ShopConfig(items=400, categories=8, brands=6, price_bands=4)


def test_shop_same_seed_same_catalogue_whatever_the_shoppers_do() -> None:
    one, other = Shop(SHOP), Shop(SHOP)
    Shoppers(one).sessions(100)
    np.testing.assert_array_equal(one.category, other.category)
    np.testing.assert_array_equal(one.price, other.price)


def test_shop_prices_rise_with_their_band_within_each_category() -> None:
    shop = Shop(SHOP)
    for category in range(SHOP.categories):
        inside = shop.category == category
        tops = [shop.price[inside & (shop.band == band)].max() for band in range(SHOP.price_bands)]
        assert tops == sorted(tops)


def test_shop_item_ids_are_distinct() -> None:
    ids = Shop(SHOP).item_ids()
    assert len(set(ids)) == len(ids) == SHOP.items


@pytest.mark.parametrize(
    "shop",
    [ShopConfig(items=0), ShopConfig(items=3, categories=4), ShopConfig(brands=0)],
    ids=["none", "few", "brands"],
)
def test_shop_impossible_config_is_refused(shop: ShopConfig) -> None:
    with pytest.raises(ConfigError):
        Shop(shop)
