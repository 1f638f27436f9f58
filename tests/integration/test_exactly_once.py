"""--guarantee exactly-once: a reader of committed messages sees each click answered once, whatever happens to workers.

No list comes twice (by its source offset), every session's last list and its state are those of all its clicks, and no
rejected message comes twice. What a reader of uncommitted messages sees, beside that, is no concern of ours.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import Message, Producer

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Sent, Storefront, Tail
from bench.rig.oracle import assert_lists, folded, stored
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.errors import Fenced
from stream.guarantee.publisher import Outgoing
from stream.guarantee.transactions import TransactionalPublisher, transactional_id
from stream.kafka.clients import transactional_options
from stream.messages.contract import Recommendation
from stream.ops.metrics import Metrics
from stream.partition.positions import POSITION_KEY
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, PARTITIONS, StartWorker, ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

EXACTLY_ONCE = ("--guarantee", "exactly-once")
CLICKS = ("clicks", 0)


@pytest.fixture
def lists(topics: str) -> Iterator[Lists]:
    """What a reader of committed messages sees."""
    reader = Lists(topics, committed=True)
    yield reader
    reader.close()


def committed(bootstrap: str, topic: str) -> list[Message]:
    tail = Tail(bootstrap, topic, committed=True)
    try:
        return tail.read_to_end()
    finally:
        tail.close()


def repeated(found: list[Recommendation]) -> list[tuple[tuple[int, int], int]]:
    """Places of clicks that were answered more than once, and how often."""
    counts = Counter((one.source.partition, one.source.offset) for one in found)
    return [(place, times) for place, times in counts.items() if times > 1]


def assert_once(bootstrap: str, sent: list[Sent], lists: Lists, registry: Registry, group: str) -> None:
    """Each click is answered once, and each session's list and state are those of all its clicks."""
    lists.await_answers(sent, deadline_s=60)
    lists.read_on()
    assert repeated(lists.all) == []
    states = folded(sent)
    assert_lists(lists.last, states, ranker_of(registry, "1"))
    assert stored(committed(bootstrap, Topics().changelog(group))) == states


def positions(changelog: list[Message]) -> dict[int, int]:
    """The last position of each partition."""
    rows = [message for message in changelog if message.key() == POSITION_KEY]
    return {message.partition() or 0: int(message.value() or b"") for message in rows}


def answered(lists: Lists, more: int) -> None:
    """Return when so many more lists than now were committed."""
    goal = len(lists.all) + more

    def enough() -> bool:
        lists.poll()
        return len(lists.all) >= goal

    wait_for(f"{more} more lists", enough, 60)


def test_clicks_in_full_flow_are_answered_once_and_positions_say_so(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, group: str
) -> None:
    worker = start_worker(topics, *EXACTLY_ONCE)
    worker.await_ready()
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        flow.confirmed(1500)
    assert_once(topics, storefront.sent, lists, registry, group)
    ends = {one.partition: one.offset + 1 for one in sorted(storefront.sent, key=lambda one: one.offset)}
    assert positions(committed(topics, Topics().changelog(group))) == ends
    assert worker.metric("nextclick_transactions_total", outcome="committed") > 0
    assert worker.metric("nextclick_transactions_total", outcome="fenced") == 0
    wait_for("no lag", lambda: set(worker.health()["lag"].values()) == {0}, 10)
    assert worker.stop() == 0
    again = start_worker(topics, *EXACTLY_ONCE)
    again.await_ready()
    storefront.click("later", "item-3")
    storefront.flush()
    assert_once(topics, storefront.sent, lists, registry, group)


def test_worker_killed_in_full_flow_and_started_again_answers_once(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, group: str
) -> None:
    worker = start_worker(topics, *EXACTLY_ONCE)
    worker.await_ready()
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        for _ in range(3):
            answered(lists, 300)
            worker.kill()
            flow.confirmed(300)
            worker = start_worker(topics, *EXACTLY_ONCE)
            worker.await_ready()
    assert_once(topics, storefront.sent, lists, registry, group)


def test_workers_join_leave_and_die_in_full_flow_clicks_are_answered_once(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    first = start_worker(topics, *EXACTLY_ONCE)
    first.await_ready(PARTITIONS)
    with Flow(storefront, rate=800, sessions=200, items=ITEMS) as flow:
        answered(lists, 300)
        second = start_worker(topics, *EXACTLY_ONCE)
        second.await_ready(PARTITIONS // 2)
        answered(lists, 300)
        assert second.stop() == 0
        first.await_ready(PARTITIONS, deadline_s=15)
        third = start_worker(topics, *EXACTLY_ONCE)
        third.await_ready(PARTITIONS // 2)
        answered(lists, 300)
        third.kill()
        first.await_ready(PARTITIONS)
        flow.confirmed(300)
    assert_once(topics, storefront.sent, lists, registry, group)
    assert first.process.poll() is None


def test_zombie_continued_writes_nothing_that_counts_and_works_again(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    zombie, owner = start_worker(topics, *EXACTLY_ONCE), start_worker(topics, *EXACTLY_ONCE)
    for worker in (zombie, owner):
        worker.await_ready(PARTITIONS // 2)
    with Flow(storefront, rate=1000, sessions=200, items=ITEMS) as flow:
        for _ in range(2):
            answered(lists, 300)
            zombie.pause()
            owner.await_ready(PARTITIONS)
            flow.confirmed(300)
            zombie.resume()
            for worker in (zombie, owner):
                worker.await_ready(PARTITIONS // 2)
        flow.confirmed(300)
    assert_once(topics, storefront.sent, lists, registry, group)
    assert zombie.process.poll() is owner.process.poll() is None


def test_fenced_producer_can_write_nothing_more(real_broker: Broker, topics: str, group: str) -> None:
    """The owner's taking over ends the zombie's open transaction, and refuses the next one."""
    topic, log = Topics().recommendations, Topics().changelog(group)
    options = {**transactional_options(topics), "transactional.id": transactional_id(group, CLICKS)}
    zombie = Producer(options)
    zombie.init_transactions(30)
    zombie.begin_transaction()
    zombie.produce(topic, b"of the zombie", partition=0)
    assert zombie.flush(30) == 0, "the row is with the broker, not committed"

    async def run() -> tuple[int, type[Exception]]:
        old, new = (TransactionalPublisher(transactional_options(topics), group, log, Metrics()) for _ in range(2))
        await old.take_over([CLICKS])
        await new.take_over([CLICKS])
        receipt = await asyncio.wait_for(await new.publish(CLICKS, [Outgoing(topic, None, b"new", None, 0, True)]), 30)
        try:
            await asyncio.wait_for(await old.publish(CLICKS, [Outgoing(topic, None, b"old", None, 0, True)]), 30)
        except Fenced as error:
            return receipt.tracked_offset, type(error)
        raise AssertionError("two producers write for one partition")

    offset, error = asyncio.run(run())
    assert error is Fenced
    with pytest.raises(Exception, match="fenced"):
        zombie.commit_transaction(30)
    assert [(message.value(), message.offset()) for message in committed(topics, topic)] == [(b"new", offset)]


def test_worker_whose_place_was_taken_joins_its_group_again_and_answers_once(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    worker = start_worker(topics, *EXACTLY_ONCE)
    worker.await_ready(PARTITIONS)
    with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
        answered(lists, 100)
        thief = Producer({**transactional_options(topics), "transactional.id": transactional_id(group, CLICKS)})
        thief.init_transactions(30)
        worker.await_log("joins its group again")
        worker.await_ready(PARTITIONS)
        flow.confirmed(300)
    assert_once(topics, storefront.sent, lists, registry, group)
    assert worker.metric("nextclick_transactions_total", outcome="fenced") >= 1
    assert not any("joining the group again" in reason for reason in worker.health()["reasons"])
    assert worker.process.poll() is None


def test_broker_restarted_in_full_flow_clicks_are_answered_once(
    restartable_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
) -> None:
    worker = start_worker(topics, *EXACTLY_ONCE)
    worker.await_ready(PARTITIONS)
    with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
        answered(lists, 200)
        restartable_broker.stop()
        restartable_broker.start()
        flow.confirmed(300)
    assert_once(topics, storefront.sent, lists, registry, group)
    assert worker.process.poll() is None


def test_bad_messages_are_rejected_once_though_the_worker_is_killed(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, group: str
) -> None:
    worker = start_worker(topics, *EXACTLY_ONCE)
    worker.await_ready()
    rejected = Tail(topics, Topics().rejected, committed=True)
    large = b'{"session_id": "s", "context": {"x": "' + b"y" * 900_000 + b'"}}'
    with Flow(storefront, rate=500, sessions=50, items=ITEMS) as flow:
        for place in range(60):
            storefront.raw(large if place % 20 == 0 else b"%d" % place, b"s", partition=place % PARTITIONS)
            flow.confirmed(10)
            if place % 30 == 20:
                worker.kill()
                worker = start_worker(topics, *EXACTLY_ONCE)
    worker.await_ready()
    assert_once(topics, storefront.sent, lists, registry, group)
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


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_transactions_of_a_storefront_are_read_when_committed_and_leave_no_lag(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    group: str,
    guarantee: str,
) -> None:
    """The clicks' partitions end in markers, and in records that were aborted."""
    worker = start_worker(topics, "--guarantee", guarantee)
    worker.await_ready(PARTITIONS)
    shop = Storefront(topics, transactional_id=f"{group}-shop")
    for place in range(3):
        with shop.transaction():
            for session in range(20):
                shop.click(f"s{session}", f"item-{session + place + 1}")
        with shop.transaction(commit=False):
            for session in range(20):
                shop.click(f"s{session}", "item-190")
    assert len(shop.sent) == 60, "an aborted click is none"
    assert_once(topics, shop.sent, lists, registry, group)
    wait_for("no lag", lambda: set(worker.health()["lag"].values()) == {0}, 10)
    assert worker.metric("nextclick_clicks_total") == 60
    worker.stop()
    again = start_worker(topics, "--guarantee", guarantee)
    again.await_ready(PARTITIONS)
    wait_for("no lag", lambda: set(again.health()["lag"].values()) == {0}, 10)
    with shop.transaction():
        shop.click("s0", "item-7")
        storefront.click("other", "item-8")
        storefront.flush()
    assert_once(topics, shop.sent + storefront.sent, lists, registry, group)


def test_guarantee_switched_both_ways_loses_nothing(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, group: str
) -> None:
    for guarantee in ("exactly-once", "at-least-once", "exactly-once", "at-least-once"):
        worker = start_worker(topics, "--guarantee", guarantee)
        worker.await_ready()
        with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
            flow.confirmed(300)
        lists.await_answers(storefront.sent)
        assert worker.stop() == 0
    assert_once(topics, storefront.sent, lists, registry, group)


def test_guarantee_switched_after_a_crash_repeats_at_most(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, group: str
) -> None:
    worker: Worker | None = None
    for guarantee in ("exactly-once", "at-least-once", "exactly-once"):
        if worker is not None:
            worker.kill()
        worker = start_worker(topics, "--guarantee", guarantee)
        worker.await_ready(deadline_s=90)  # at least once: until the broker gives the dead worker's transactions up
        with Flow(storefront, rate=500, sessions=100, items=ITEMS) as flow:
            flow.confirmed(300)
    lists.await_answers(storefront.sent)
    lists.read_on()
    newest = sorted(lists.all, key=lambda one: one.source.offset)
    assert_lists({one.session_id: one for one in newest}, folded(storefront.sent), ranker_of(registry, "1"))
    assert stored(committed(topics, Topics().changelog(group))) == folded(storefront.sent)
