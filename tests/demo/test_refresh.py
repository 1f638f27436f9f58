"""What a fresh model is trained on."""

import numpy as np

from demo.click_log import ClickLog
from demo.refresh import newest_sessions, split_flow
from demo.shop import Shop
from demo.simulator import Shoppers
from demo.stock import ShopConfig

LOG = Shoppers(Shop(ShopConfig(items=50, categories=4))).sessions(100)


def test_split_flow_parts_sessions_whole() -> None:
    train, valid = split_flow(LOG, 0.2)
    assert set(train.session.tolist()) == set(range(80))
    assert set(valid.session.tolist()) == set(range(80, 100))
    assert len(train.ts) + len(valid.ts) == len(LOG.ts)


def test_split_flow_without_clicks_gives_two_empty_logs() -> None:
    empty = ClickLog(*(np.empty(0, np.int64) for _ in range(3)))
    train, valid = split_flow(empty, 0.2)
    assert len(train.session) == len(valid.session) == 0


def test_split_flow_leaves_out_sessions_of_one_click() -> None:
    """A session that has just begun predicts nothing; a held-out log of such sessions could not validate."""
    log = ClickLog(np.array([0, 0, 1, 1, 2, 3]), np.arange(6), np.arange(6))
    train, valid = split_flow(log, 0.5)
    assert train.session.tolist() == [0, 0]
    assert valid.session.tolist() == [1, 1]


def test_newest_sessions_keeps_those_that_began_last() -> None:
    assert np.unique(newest_sessions(LOG, 10).session).tolist() == list(range(90, 100))
    assert len(newest_sessions(LOG, 1_000).ts) == len(LOG.ts)
