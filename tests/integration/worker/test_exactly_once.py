"""--guarantee exactly-once: a reader of committed messages sees each click answered once, whatever happens to workers.

No list comes twice (by its source offset), every session's last list and its state are those of all its clicks, and no
rejected message comes twice. What a reader of uncommitted messages sees, beside that, is no concern of ours.
"""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Message, Producer

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront, Tail, read_topic
from bench.rig.oracle import assert_lists, folded, stored
from bench.rig.workers import Worker
from stream.config import Guarantee
from stream.errors import Fenced
from stream.guarantee.publisher import Outgoing
from stream.guarantee.transactions import TransactionalPublisher, transactional_id
from stream.kafka.clients import transactional_options
from stream.ops.metrics import Metrics
from stream.partition.positions import POSITION_KEY
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker
from tests.integration.promises import GUARANTEES, Promise, await_more, ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


@pytest.fixture
def guarantee() -> Guarantee:
    return "exactly-once"


def positions(changelog: list[Message]) -> dict[int, int]:
    """The last position of each partition."""
    rows = [message for message in changelog if message.key() == POSITION_KEY]
    return {message.partition() or 0: int(message.value() or b"") for message in rows}


@pytest.mark.container
def test_clicks_in_full_flow_are_answered_once_and_positions_say_so(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, promise: Promise
) -> None:
    worker = start_worker(topics, *promise.options)
    worker.await_ready()
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        flow.confirmed(1500)
    promise.assert_kept(storefront.sent, lists)
    ends = {one.partition: one.offset + 1 for one in sorted(storefront.sent, key=lambda one: one.offset)}
    assert positions(promise.rows()) == ends
    assert worker.metric("nextclick_transactions_total", outcome="committed") > 0
    assert worker.metric("nextclick_transactions_total", outcome="fenced") == 0
    wait_for("no lag", lambda: set(worker.health()["lag"].values()) == {0}, 10)
    assert worker.stop() == 0
    again = start_worker(topics, *promise.options)
    again.await_ready()
    storefront.click("later", "item-3")
    storefront.flush()
    promise.assert_kept(storefront.sent, lists)


def test_zombie_continued_writes_nothing_that_counts_and_works_again(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    promise: Promise,
) -> None:
    zombie, owner = start_worker(topics, *promise.options), start_worker(topics, *promise.options)
    for worker in (zombie, owner):
        worker.await_ready(PARTITIONS // 2)
    with Flow(storefront, rate=1000, sessions=200, items=ITEMS) as flow:
        for _ in range(2):
            await_more(lists, 300)
            zombie.pause()
            owner.await_ready(PARTITIONS)
            flow.confirmed(300)
            zombie.resume()
            for worker in (zombie, owner):
                worker.await_ready(PARTITIONS // 2)
        flow.confirmed(300)
    promise.assert_kept(storefront.sent, lists)
    assert zombie.process.poll() is owner.process.poll() is None


@pytest.mark.container
def test_fenced_producer_can_write_nothing_more(
    real_broker: Broker, topics: str, names: Topics, changelog: str, group_id: str
) -> None:
    """The owner's taking over ends the zombie's open transaction, and refuses the next one."""
    topic, place = names.recommendations, (names.clicks, 0)
    options = {**transactional_options(topics), "transactional.id": transactional_id(group_id, place)}
    zombie = Producer(options)
    zombie.init_transactions(30)
    zombie.begin_transaction()
    zombie.produce(topic, b"of the zombie", partition=0)
    assert zombie.flush(30) == 0, "the row is with the broker, not committed"

    async def run() -> tuple[int, type[Exception]]:
        old, new = (
            TransactionalPublisher(transactional_options(topics), group_id, changelog, Metrics()) for _ in range(2)
        )
        await old.take_over([place])
        await new.take_over([place])
        receipt = await asyncio.wait_for(await new.publish(place, [Outgoing(topic, None, b"new", None, 0, True)]), 30)
        try:
            await asyncio.wait_for(await old.publish(place, [Outgoing(topic, None, b"old", None, 0, True)]), 30)
        except Fenced as error:
            return receipt.tracked_offset, type(error)
        raise AssertionError("two producers write for one partition")

    offset, error = asyncio.run(run())
    assert error is Fenced
    with pytest.raises(Exception, match="fenced"):
        zombie.commit_transaction(30)
    assert [(message.value(), message.offset()) for message in read_topic(topics, topic, committed=True)] == [
        (b"new", offset)
    ]


def test_worker_whose_place_was_taken_joins_its_group_again_and_answers_once(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    promise: Promise,
    names: Topics,
    group_id: str,
) -> None:
    worker = start_worker(topics, *promise.options)
    worker.await_ready(PARTITIONS)
    with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
        await_more(lists, 100)
        thief = Producer(
            {**transactional_options(topics), "transactional.id": transactional_id(group_id, (names.clicks, 0))}
        )
        thief.init_transactions(30)
        worker.await_log("joins its group again")
        worker.await_ready(PARTITIONS)
        flow.confirmed(300)
    promise.assert_kept(storefront.sent, lists)
    assert worker.metric("nextclick_transactions_total", outcome="fenced") >= 1
    assert not any("joining the group again" in reason for reason in worker.health()["reasons"])
    assert worker.process.poll() is None


def test_bad_messages_are_rejected_once_though_the_worker_is_killed(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    promise: Promise,
    names: Topics,
) -> None:
    worker = start_worker(topics, *promise.options)
    worker.await_ready()
    rejected = Tail(topics, names.rejected, committed=True)
    large = b'{"session_id": "s", "context": {"x": "' + b"y" * 900_000 + b'"}}'
    with Flow(storefront, rate=500, sessions=50, items=ITEMS) as flow:
        for place in range(60):
            storefront.raw(large if place % 20 == 0 else b"%d" % place, b"s", partition=place % PARTITIONS)
            flow.confirmed(10)
            if place % 30 == 20:
                worker.kill()
                worker = start_worker(topics, *promise.options)
    worker.await_ready()
    promise.assert_kept(storefront.sent, lists)
    found: list[Message] = []

    def complete() -> bool:
        found.extend(rejected.read_to_end())
        return len(found) >= 60

    wait_for("all bad messages to be rejected", complete)
    lists.read_on()
    found.extend(rejected.read_to_end())
    places = [
        (dict(message.headers() or [])["partition"], dict(message.headers() or [])["offset"]) for message in found
    ]
    assert len(places) == len(set(places)) == 60
    rejected.close()


@pytest.mark.container
@pytest.mark.parametrize("told", GUARANTEES)
def test_transactions_of_a_storefront_are_read_when_committed_and_leave_no_lag(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    promise: Promise,
    told: Guarantee,
    names: Topics,
    prefix: str,
) -> None:
    """The clicks' partitions end in markers, and in records that were aborted."""
    worker = start_worker(topics, "--guarantee", told)
    worker.await_ready(PARTITIONS)
    shop = Storefront(topics, transactional_id=f"{prefix}shop", topic=names.clicks)
    for place in range(3):
        with shop.transaction():
            for session in range(20):
                shop.click(f"s{session}", f"item-{session + place + 1}")
        with shop.transaction(commit=False):
            for session in range(20):
                shop.click(f"s{session}", "item-190")
    assert len(shop.sent) == 60, "an aborted click is none"
    promise.assert_kept(shop.sent, lists)
    wait_for("no lag", lambda: set(worker.health()["lag"].values()) == {0}, 10)
    assert worker.metric("nextclick_clicks_total") == 60
    worker.stop()
    again = start_worker(topics, "--guarantee", told)
    again.await_ready(PARTITIONS)
    wait_for("no lag", lambda: set(again.health()["lag"].values()) == {0}, 10)
    with shop.transaction():
        shop.click("s0", "item-7")
        storefront.click("other", "item-8")
        storefront.flush()
    promise.assert_kept(shop.sent + storefront.sent, lists)


def test_guarantee_switched_both_ways_loses_nothing(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, promise: Promise
) -> None:
    for told in ("exactly-once", "at-least-once", "exactly-once", "at-least-once"):
        worker = start_worker(topics, "--guarantee", told)
        worker.await_ready()
        with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
            flow.confirmed(300)
        lists.await_answers(storefront.sent)
        assert worker.stop() == 0
    promise.assert_kept(storefront.sent, lists)


def test_guarantee_switched_after_a_crash_repeats_at_most(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, promise: Promise
) -> None:
    worker: Worker | None = None
    for told in ("exactly-once", "at-least-once", "exactly-once"):
        if worker is not None:
            worker.kill()
        worker = start_worker(topics, "--guarantee", told)
        worker.await_ready(deadline_s=90)  # at least once: until the broker gives the dead worker's transactions up
        with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
            flow.confirmed(300)
    lists.await_answers(storefront.sent)
    lists.read_on()
    newest = sorted(lists.all, key=lambda one: one.source.offset)
    assert_lists({one.session_id: one for one in newest}, folded(storefront.sent), ranker_of(promise.registry, "1"))
    assert stored(promise.rows()) == folded(storefront.sent)
