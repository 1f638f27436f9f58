"""Shoppers of several interests click what they are said to want."""

from __future__ import annotations

import numpy as np
import pytest

from demo.simulated.interested import InterestedConfig, histories, items_of
from demo.simulated.shop import Shop
from demo.simulated.stock import ShopConfig
from export.errors import ConfigError

SHOP = Shop(ShopConfig(items=400, categories=8))
SOME = InterestedConfig(shoppers=300)


def test_histories_follow_the_categories_of_their_shoppers() -> None:
    found = histories(SHOP, SOME)
    shopper = np.repeat(np.arange(300), np.diff(found.offsets))
    assert (SHOP.category[found.items] == found.category[shopper, found.interest]).all()
    counts = (found.category >= 0).sum(axis=1)
    assert set(counts.tolist()) == {1, 2, 3, 4}
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in found.category)
    lengths = np.diff(found.offsets)
    assert (lengths.min(), lengths.max()) >= (6, 7)
    assert abs(lengths.mean() - SOME.mean_clicks) < 2.0


def test_histories_stay_with_an_interest_more_often_than_chance_would() -> None:
    found = histories(SHOP, SOME)
    inside = np.ones(len(found.items), bool)
    inside[found.offsets[:-1]] = False
    same = (found.interest[1:] == found.interest[:-1])[inside[1:]]
    assert 0.7 < same.mean() < 0.9  # .6 stay, and a turn may lead back


def test_histories_are_the_same_for_the_same_config_and_others_for_another_seed() -> None:
    first, again, other = (histories(SHOP, InterestedConfig(shoppers=20, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.items, again.items)
    assert not np.array_equal(first.items[:50], other.items[:50])


def test_items_of_a_simulated_shop_say_category_brand_and_price() -> None:
    items = items_of(SHOP)
    assert len(items) == 400
    assert items[3].item_id == SHOP.item_ids()[3]
    assert items[3].attributes == {"category": (f"c{SHOP.category[3]}",), "brand": (f"b{SHOP.brand[3]}",)}
    assert items[3].price == SHOP.price[3]


@pytest.mark.parametrize("options", [{"shoppers": 0}, {"interests": 0}, {"min_clicks": 1}, {"mean_clicks": 99.0}])
def test_histories_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        InterestedConfig(**options)  # type: ignore[arg-type]
