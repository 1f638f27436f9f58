"""Workers killed and brokers restarted in full flow: nothing is lost, and every state equals the oracle's."""

from __future__ import annotations

import pytest

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront, read_topic
from bench.rig.oracle import assert_lists, folded, stored
from export.registry.registry import Registry
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker, make_topics, ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


def assert_nothing_lost(bootstrap: str, storefront: Storefront, lists: Lists, registry: Registry, group: str) -> None:
    """Each session's state and last list are those of all its clicks, also when late repeats have come."""
    lists.await_answers(storefront.sent, deadline_s=60)
    lists.read_on()
    states = folded(storefront.sent)
    assert_lists(lists.last, states, ranker_of(registry, "1"))
    assert stored(read_topic(bootstrap, f"{group}-sessions-changelog")) == states


def test_worker_killed_in_full_flow_and_started_again_equals_the_oracle(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, group: str
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        flow.confirmed(1500)
        worker.kill()
        flow.confirmed(500)
        again = start_worker(topics)
        again.await_ready()
        flow.confirmed(500)
    assert_nothing_lost(topics, storefront, lists, registry, group)


def test_two_workers_share_partitions_and_one_takes_over_when_the_other_is_killed(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    first, second = start_worker(topics), start_worker(topics)
    share = PARTITIONS // 2
    first.await_ready(share)
    second.await_ready(share)
    assert not set(first.health()["partitions"]) & set(second.health()["partitions"])
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        flow.confirmed(1500)
        second.kill()
        first.await_ready(PARTITIONS)
        flow.confirmed(500)
    assert_nothing_lost(topics, storefront, lists, registry, group)
    assert first.process.poll() is None


def test_worker_joins_and_leaves_in_full_flow_nothing_is_lost(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    first = start_worker(topics)
    first.await_ready(PARTITIONS)
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        flow.confirmed(500)
        second = start_worker(topics)
        second.await_ready(PARTITIONS // 2)
        flow.confirmed(500)
        assert second.stop() == 0
        first.await_ready(PARTITIONS, deadline_s=10)
        flow.confirmed(500)
    assert_nothing_lost(topics, storefront, lists, registry, group)


def test_broker_down_at_start_worker_waits_and_then_works(
    restartable_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
) -> None:
    restartable_broker.stop()
    worker = start_worker(topics)
    line = worker.await_log("waiting for a Kafka broker")
    assert topics in line
    assert worker.process.poll() is None
    restartable_broker.start()
    worker.await_ready(PARTITIONS)
    storefront.click("early", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, "1"))
    assert "Traceback" not in worker.log.read_text()


def test_broker_restarted_in_full_flow_nothing_is_lost(
    restartable_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    worker = start_worker(topics)
    worker.await_ready(PARTITIONS)
    with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
        flow.confirmed(500)
        restartable_broker.stop()
        restartable_broker.start()
        flow.confirmed(500)
    assert_nothing_lost(topics, storefront, lists, registry, group)
    assert worker.process.poll() is None


def test_topics_missing_worker_says_how_to_make_them(
    real_broker: Broker, start_worker: StartWorker, group: str
) -> None:
    worker = start_worker(real_broker.bootstrap)
    assert wait_for("the worker to end", lambda: worker.process.poll() is not None, 30)
    assert worker.process.returncode == 2
    assert f"nextclick topics create --bootstrap-servers HOST --partitions N --group {group}" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()
    make_topics(real_broker, group)
    start_worker(real_broker.bootstrap).await_ready(PARTITIONS)
