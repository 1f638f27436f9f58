"""Features of items: numbered alike at training and at serving, whatever the values."""

from __future__ import annotations

import numpy as np
import pytest

from export.items.features import MOST_VALUES, FeatureVocabulary
from export.items.item import Item

SHOP = [
    Item(item_id="a", attributes={"brand": ("acme",), "category_path": ("home/garden",)}, price=1.0),
    Item(item_id="b", attributes={"brand": ("acme",), "category_path": ("home/kitchen",)}, price=2.0),
    Item(item_id="c", attributes={"brand": ("solo",)}, price=3.0),
    Item(item_id="d"),
]


def learned(**options: int) -> FeatureVocabulary:
    return FeatureVocabulary.learn(SHOP, **{"shared": 8, "bands": 3, **options})


def test_features_frequent_values_have_a_row_of_their_own_and_the_rest_share() -> None:
    features = learned()
    assert set(features.values) == {("brand", "acme"), ("category_path", "home")}
    own = {features.code("brand", "acme"), features.code("category_path", "home")}
    assert own == {1, 2}
    assert 3 <= features.code("brand", "solo") < 3 + features.shared
    assert 3 <= features.code("never", "heard of") < 3 + features.shared
    assert features.size == 1 + 2 + 8 + 3
    assert len(learned(most=1).values) == 1


def test_features_of_a_path_are_its_prefixes_too_weighted_by_their_number() -> None:
    rows = learned().encode([SHOP[0]])
    assert rows.counts.tolist() == [4]  # price, brand, home, home/garden
    assert rows.weights.tolist() == pytest.approx([1.0, 1.0, 2**-0.5, 2**-0.5])


def test_features_of_items_without_any_and_of_unknown_items_are_none() -> None:
    rows = learned().encode([None, Item(item_id="e", attributes={"brand": ()}), SHOP[2]])
    assert rows.counts.tolist() == [0, 0, 2]
    codes, weights = rows.padded()
    assert codes.shape == weights.shape == (3, 2)
    assert not codes[:2].any()
    assert not weights[:2].any()


def test_features_prices_lie_in_bands_of_equal_counts() -> None:
    features = learned()
    bands = [int(features.encode([Item(item_id="x", price=price)]).codes[0]) for price in (0.5, 1.0, 2.0, 2.9, 99.0)]
    assert bands == sorted(bands)
    assert (bands[0], bands[-1]) == (features.size - 3, features.size - 1)


def test_features_shared_rows_are_the_same_in_every_process() -> None:
    assert [learned().code("brand", text) for text in ("solo", "häkel", "")] == [7, 8, 5]  # by CRC-32: for ever


def test_features_survive_json_and_refuse_another_format() -> None:
    features = learned()
    again = FeatureVocabulary.from_bytes(features.to_bytes())
    assert again == features
    assert again.digest() == features.digest()
    assert again.code("brand", "acme") == features.code("brand", "acme")
    for content in (b"{}", b"[", features.to_bytes().replace(b'"format":1', b'"format":2')):
        with pytest.raises(ValueError, match="feature"):
            FeatureVocabulary.from_bytes(content)


def test_features_of_two_vocabularies_are_matched_by_what_they_stand_for() -> None:
    other = FeatureVocabulary.learn([SHOP[0], SHOP[1], SHOP[2], SHOP[2]], least=1, shared=8, bands=3)
    pairs = dict(learned().alike(other).tolist())
    assert pairs[learned().code("brand", "acme")] == other.code("brand", "acme")
    assert pairs[learned().size - 1] == other.size - 1
    assert pairs[0] == 0
    assert len(pairs) == 1 + 2 + 8 + 3


def test_features_of_an_item_are_bounded() -> None:
    many = Item(item_id="x", attributes={"tags": tuple(map(str, range(1_000)))})
    assert learned().encode([many]).counts.tolist() == [MOST_VALUES]
    assert np.isfinite(learned().encode([many]).weights).all()
