"""A broker that stands still for longer than any time-out, and goes on: the workers wait for it, and work on."""

from __future__ import annotations

import time

import pytest

from bench.rig.brokers.base import Broker
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.config import Guarantee
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker, make_topics
from tests.integration.promises import GUARANTEES, Promise

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

FROZEN_S = 62.0  # longer than a request, a session in the group, and the watchdog's patience by a moment


class Shop:
    """Topics of its own, two workers of one guarantee, and those who send and read."""

    def __init__(
        self, guarantee: Guarantee, broker: Broker, prefix: str, registry: Registry, start_worker: StartWorker
    ) -> None:
        names, group = Topics.named(prefix=f"{prefix}{guarantee}."), "workers"
        make_topics(broker, names, group)
        self.promise = Promise(
            guarantee=guarantee, bootstrap=broker.bootstrap, changelog=names.changelog(group), registry=registry
        )
        self.storefront = Storefront(broker.bootstrap, topic=names.clicks)
        self.lists = Lists(broker.bootstrap, names.recommendations, committed=guarantee == "exactly-once")
        options = (*self.promise.options, "--topic-prefix", names.prefix)
        self.workers: list[Worker] = [start_worker(broker.bootstrap, *options) for _ in range(2)]

    def shop(self) -> None:
        """Clicks for a while."""
        with Flow(self.storefront, rate=200, sessions=50, items=ITEMS) as flow:
            flow.confirmed(200)

    def pile_up(self) -> None:
        """More clicks at once than are answered at once."""
        for number in range(3000):
            self.storefront.click(f"s{number % 50}", f"item-{number % ITEMS + 1}")
        self.storefront.flush()


def test_broker_frozen_for_a_minute_and_back_the_workers_of_either_guarantee_go_on(
    restartable_broker: Broker, prefix: str, registry: Registry, start_worker: StartWorker
) -> None:
    shops = [Shop(one, restartable_broker, prefix, registry, start_worker) for one in GUARANTEES]
    for shop in shops:
        for worker in shop.workers:
            worker.await_ready(PARTITIONS // 2)
        shop.shop()
    for shop in shops:
        shop.pile_up()
    restartable_broker.pause()  # while the workers are at it
    try:
        time.sleep(FROZEN_S)
    finally:
        restartable_broker.resume()
    for shop in shops:
        shop.shop()
        for worker in shop.workers:
            worker.await_ready(deadline_s=90)
        shop.promise.assert_kept(shop.storefront.sent, shop.lists)
        for worker in shop.workers:
            assert worker.process.poll() is None, worker.log.read_text()[-3000:]
            assert "Traceback" not in worker.log.read_text()
        shop.lists.close()
