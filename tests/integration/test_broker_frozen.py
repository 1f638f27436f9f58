"""A broker that stands still for longer than any time-out, and goes on: the workers wait for it, and work on."""

from __future__ import annotations

import time

import pytest

from bench.rig.brokers.base import Broker
from bench.rig.clients import Flow, Lists, Storefront, read_topic
from bench.rig.oracle import assert_lists, folded, stored
from export.registry.registry import Registry
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker, ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

FROZEN_S = 62.0  # longer than a request, a session in the group, and the watchdog's patience by a moment


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_broker_frozen_for_a_minute_and_back_the_workers_go_on(
    restartable_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
    guarantee: str,
) -> None:
    options = ("--guarantee", guarantee)
    workers = [start_worker(topics, *options) for _ in range(2)]
    for worker in workers:
        worker.await_ready(PARTITIONS // 2)
    with Flow(storefront, rate=200, sessions=50, items=ITEMS) as flow:
        flow.confirmed(200)
    for number in range(3000):
        storefront.click(f"s{number % 50}", f"item-{number % ITEMS + 1}")
    storefront.flush()
    restartable_broker.pause()  # while the workers are at it
    try:
        time.sleep(FROZEN_S)
    finally:
        restartable_broker.resume()
    with Flow(storefront, rate=200, sessions=50, items=ITEMS) as flow:
        flow.confirmed(200)
    for worker in workers:
        worker.await_ready(deadline_s=90)
    lists.await_answers(storefront.sent, deadline_s=90)
    states = folded(storefront.sent)
    assert_lists(lists.last, states, ranker_of(registry, "1"))
    rows = stored(read_topic(topics, f"{group}-sessions-changelog"))
    assert rows == states
    for worker in workers:
        assert worker.process.poll() is None, worker.log.read_text()[-3000:]
        assert "Traceback" not in worker.log.read_text()
