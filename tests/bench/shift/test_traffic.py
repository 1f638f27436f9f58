"""Live clicks of the benchmark: when they are due, and where they arrive."""

import time

import pytest

from bench.data.clicks import Click
from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.clients import read_topic
from bench.shift.traffic import live_clicks, send_live
from demo.simulated.shift import Shift
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from stream.messages.contract import decode_click

HABITS = ShopperConfig(sessions_per_s=20.0, mean_clicks=5.0, think_s=0.5)


def shoppers(shift: Shift | None = None) -> Shoppers:
    return Shoppers(Shop(ShopConfig(items=100, categories=4)), HABITS, shift=shift)


def test_live_clicks_begin_at_a_steady_rate_and_end_in_time() -> None:
    clicks = live_clicks(shoppers(), 20.0)
    ts = [ts for _, _, ts in clicks]
    assert ts == sorted(ts)
    assert 0 <= ts[0] < 1_000
    assert 19_000 < ts[-1] < 20_000
    assert sum(at < 5_000 for at in ts) == pytest.approx(500, rel=0.25)  # of 100 a second


def test_live_clicks_name_new_items_after_the_shift_only() -> None:
    clicks = live_clicks(shoppers(Shift(at_ms=10_000)), 20.0)
    newcomers = [ts for _, item, ts in clicks if int(item[1:]) >= 100]
    assert 10_000 <= min(newcomers) < 11_000


@pytest.mark.waits
def test_send_live_waits_until_each_is_due() -> None:
    broker = InProcessBroker()
    broker.start()
    try:
        clicks: list[Click] = [("s1", "a", 0), ("s2", "b", 300), ("s1", "c", 600)]
        start_ms = time.time_ns() // 1_000_000
        began = time.monotonic()
        send_live(broker.bootstrap, "clicks", clicks, start_ms)
        assert time.monotonic() - began >= 0.55
        found = [decode_click(m.value(), m.key(), m.timestamp()[1]) for m in read_topic(broker.bootstrap, "clicks")]
    finally:
        broker.close()
    assert sorted((one.session_id, one.item_id, one.ts - start_ms) for one in found) == sorted(clicks)
