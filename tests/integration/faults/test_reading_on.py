"""Where a worker reads on after one that answered nothing: what the group was told must be of the log there is."""

from __future__ import annotations

from collections import Counter

import pytest
from confluent_kafka import Consumer, TopicPartition

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Storefront
from bench.rig.operator import Operator
from stream.config import Guarantee
from stream.topic_names import Topics
from tests.integration.conftest import PARTITIONS, StartWorker
from tests.integration.promises import GUARANTEES

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240), pytest.mark.parametrize("guarantee", GUARANTEES)]

LOOK = ("--topics-look-s", "1")


@pytest.fixture
def operator(topics: str, real_broker: Broker) -> Operator:
    return Operator(topics)


def click(storefront: Storefront, rounds: int) -> None:
    for number in range(rounds):
        for session in range(40):
            storefront.click(f"s{session}", f"item-{(session + number) % 50 + 1}")
    storefront.flush()


def committed(bootstrap: str, group_id: str, topic: str) -> list[int]:
    """The group's offsets; -1001 where there is none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group_id})
    try:
        found = consumer.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=10)
        return [one.offset for one in found]
    finally:
        consumer.close()


def test_worker_killed_after_a_reset_and_before_its_first_answer_costs_no_click(
    topics: str,
    names: Topics,
    operator: Operator,
    group_id: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    guarantee: Guarantee,
) -> None:
    options = (*LOOK, "--guarantee", guarantee)
    worker = start_worker(topics, *options)
    worker.await_ready(PARTITIONS)
    click(storefront, 3)
    lists.await_answers(storefront.sent)
    assert worker.stop() == 0
    assert max(committed(topics, group_id, names.clicks)) > 0
    operator.remake(names.clicks)
    reset = start_worker(topics, *options, "--reset-state")
    reset.await_ready(PARTITIONS)
    wait_for("the group to be told", lambda: committed(topics, group_id, names.clicks) == [0] * PARTITIONS, 30)
    reset.kill()
    again = Storefront(topics, topic=names.clicks)
    click(again, 6)  # the log grows beyond the offsets that the group had of the one before
    plain = start_worker(topics, *options)
    plain.await_ready(PARTITIONS)
    wait_for("all clicks to be answered", lambda: plain.metric("nextclick_clicks_total") >= len(again.sent), 60)
    assert plain.metric("nextclick_clicks_total") == len(again.sent)


def test_clicks_removed_unread_that_none_follow_are_counted_by_one_worker_only(
    topics: str,
    names: Topics,
    operator: Operator,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    guarantee: Guarantee,
) -> None:
    options = (*LOOK, "--guarantee", guarantee)
    worker = start_worker(topics, *options)
    worker.await_ready(PARTITIONS)
    click(storefront, 1)
    lists.await_answers(storefront.sent)
    assert worker.stop() == 0
    read = len(storefront.sent)
    click(storefront, 3)
    operator.remove(names.clicks, Counter(one.partition for one in storefront.sent))
    lost = len(storefront.sent) - read
    again = start_worker(topics, *options)
    again.await_ready(PARTITIONS)
    wait_for("the loss to be counted", lambda: again.metric("nextclick_clicks_lost_to_retention_total") == lost, 30)
    assert again.stop() == 0
    last = start_worker(topics, *options)
    last.await_ready(PARTITIONS)
    click(storefront, 1)
    lists.await_answers(storefront.sent[read + lost :])
    assert last.metric("nextclick_clicks_lost_to_retention_total") == 0
