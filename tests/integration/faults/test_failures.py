"""Workers killed and brokers restarted in full flow: each guarantee holds, and every state equals the oracle's."""

from __future__ import annotations

import pytest

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.oracle import assert_lists, folded
from export.registry.registry import Registry
from stream.config import Guarantee
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker, make_topics
from tests.integration.promises import GUARANTEES, Promise, await_more, ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


@pytest.fixture(params=GUARANTEES)
def guarantee(request: pytest.FixtureRequest) -> Guarantee:
    """Each test that asks for a promise is of either guarantee."""
    one: Guarantee = request.param
    return one


def test_worker_killed_in_full_flow_and_started_again_keeps_its_promise(
    storefront: Storefront, lists: Lists, start_worker: StartWorker, promise: Promise
) -> None:
    worker = start_worker(promise.bootstrap, *promise.options)
    worker.await_ready()
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        flow.confirmed(1000)
        for _ in range(3 if promise.guarantee == "exactly-once" else 1):
            await_more(lists, 300)
            worker.kill()
            flow.confirmed(500)
            worker = start_worker(promise.bootstrap, *promise.options)
            worker.await_ready()
        flow.confirmed(500)
    promise.assert_kept(storefront.sent, lists)


def test_workers_join_leave_and_die_in_full_flow_and_the_others_take_over(
    real_broker: Broker, storefront: Storefront, lists: Lists, start_worker: StartWorker, promise: Promise
) -> None:
    share, orderly_s = PARTITIONS // 2, 15 if promise.guarantee == "exactly-once" else 10
    first = start_worker(promise.bootstrap, *promise.options)
    first.await_ready(PARTITIONS)
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        await_more(lists, 300)
        second = start_worker(promise.bootstrap, *promise.options)
        second.await_ready(share)
        await_more(lists, 300)
        assert second.stop() == 0
        first.await_ready(PARTITIONS, deadline_s=orderly_s)
        third = start_worker(promise.bootstrap, *promise.options)
        third.await_ready(share)
        first.await_ready(share)
        assert not set(first.health()["partitions"]) & set(third.health()["partitions"])
        await_more(lists, 300)
        third.kill()
        first.await_ready(PARTITIONS)
        flow.confirmed(500)
    promise.assert_kept(storefront.sent, lists)
    assert first.process.poll() is None


@pytest.mark.container
def test_broker_restarted_in_full_flow_the_worker_goes_on_and_keeps_its_promise(
    restartable_broker: Broker, storefront: Storefront, lists: Lists, start_worker: StartWorker, promise: Promise
) -> None:
    worker = start_worker(promise.bootstrap, *promise.options)
    worker.await_ready(PARTITIONS)
    with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
        await_more(lists, 200)
        flow.confirmed(300)
        restartable_broker.stop()
        wait_for("/health to say so", lambda: "no broker answers" in str(worker.health()["reasons"]), 30)
        restartable_broker.start()
        flow.confirmed(500)
    promise.assert_kept(storefront.sent, lists)
    assert worker.process.poll() is None
    wait_for("/health to take it back", lambda: not worker.health()["reasons"], 30)


@pytest.mark.container
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


def test_topics_missing_worker_says_how_to_make_them(
    real_broker: Broker, start_worker: StartWorker, names: Topics, group: str
) -> None:
    worker = start_worker(real_broker.bootstrap)
    assert wait_for("the worker to end", lambda: worker.process.poll() is not None, 30)
    assert worker.process.returncode == 2
    command = f"nextclick topics create --bootstrap-servers HOST --partitions N --group {group}{names.as_options()}"
    assert command in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()
    make_topics(real_broker, names, group)
    start_worker(real_broker.bootstrap).await_ready(PARTITIONS)
