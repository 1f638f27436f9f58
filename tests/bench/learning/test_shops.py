"""Data sets with items: parts in one catalogue, and what simulated shoppers are known to want."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.learning.shops import log_of, shop_of
from export.bundle.vocabulary import Vocabulary


def test_simulated_shop_knows_what_each_test_session_followed(tmp_path: Path) -> None:
    shop = shop_of("simulated", tmp_path, sessions=40)
    assert (shop.train.sessions, shop.valid.sessions, shop.test.sessions) == (40, 4, 4)
    assert shop.category is not None
    assert shop.items is not None
    assert shop.items.features(shop.test.vocabulary).known == len(shop.test.vocabulary)
    for row, wanted in enumerate(shop.wanted):
        given = shop.test.session(row)[: int(shop.test.lengths[row] * 0.8)]
        assert wanted == set(shop.category[given].tolist())


def test_log_of_sessions_leaves_out_unknown_items_and_then_single_clicks() -> None:
    log = log_of([["a", "b"], ["a", "x"], ["b", "x", "a", "a"]], Vocabulary("ab"))
    assert [log.session(row).tolist() for row in range(log.sessions)] == [[1, 2], [2, 1, 1]]
    assert np.array_equal(log.offsets, [0, 2, 5])
