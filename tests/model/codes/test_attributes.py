"""Items without clicks get the codes of where the items are whose attributes they have."""

from __future__ import annotations

import numpy as np

from export.codes.codes import ItemCodes
from export.items.features import FeatureRows
from model.codes.attributes import codes_by_features


def rows(*items: list[int]) -> FeatureRows:
    counts = [len(item) for item in items]
    codes = np.array([code for item in items for code in item], dtype=np.int64)
    return FeatureRows(np.cumsum([0, *counts]), codes, np.ones(len(codes), np.float32))


def table(*codes: list[int]) -> ItemCodes:
    """Two books, whose sub-vectors lie on a line at their codes' numbers, the second from the other end."""
    line = np.arange(16, dtype=np.float32)[:, None]
    return ItemCodes(np.array([[0, 0], *codes], np.uint8), np.stack([line, 15 - line]))


def test_new_item_stands_where_those_are_that_share_its_values_and_rare_values_count_more() -> None:
    known = table([2, 3], [4, 3], [12, 9], [12, 9], [12, 9])
    features = rows([], [1], [1], [2, 3], [2], [2])
    codes, placed = codes_by_features(known, features, rows([1], [2], [3], [1, 3], [1, 2], [4], [], [4, 1]))
    assert placed.tolist() == [True, True, True, True, True, False, False, True]
    assert codes[:3].tolist() == [[3, 3], [12, 9], [12, 9]]
    between, nearer = codes[3].tolist(), codes[4].tolist()
    assert 7 < between[0] < 12  # nearer to value 3, which one item has
    assert 3 < nearer[0] < between[0]  # value 2 has three
    assert codes[7].tolist() == [3, 3]  # what nobody has says nothing
    assert not codes[5:7].any()


def test_codes_of_many_new_items_follow_in_parts_as_they_do_one_by_one() -> None:
    random = np.random.default_rng(0)
    known = ItemCodes(
        np.concatenate([np.zeros((1, 4)), random.integers(0, 16, (50, 4))]).astype(np.uint8),
        random.standard_normal((4, 16, 3), dtype=np.float32),
    )
    features = rows([], *[random.integers(1, 12, random.integers(0, 4)).tolist() for _ in range(50)])
    new = [random.integers(1, 14, random.integers(0, 4)).tolist() for _ in range(20_000)]
    codes, placed = codes_by_features(known, features, rows(*new))
    for number in (0, 1, 16_383, 16_384, 19_999):
        one, there = codes_by_features(known, features, rows(new[number]))
        assert there[0] == placed[number]
        assert one[0].tolist() == codes[number].tolist()


def test_no_new_items_have_no_codes() -> None:
    codes, placed = codes_by_features(table([1, 1]), rows([], [1]), rows())
    assert codes.shape == (0, 2)
    assert not len(placed)
