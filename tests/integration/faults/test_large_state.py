"""A worker that starts on a large state: no click is answered before the whole of it is back."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Storefront, now_ms
from bench.rig.oracle import assert_lists
from export.registry.registry import Registry
from stream.partition.session import SessionState, encode_state, fold_click
from tests.integration.conftest import PARTITIONS, StartWorker
from tests.integration.promises import ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

SESSIONS = 80_000  # rows that are recovered before the ones that matter
SHOPPERS = 60  # who click meanwhile; the newest of their rows come last of all


def state(items: tuple[str, ...], now: int) -> SessionState:
    """A session with these items, of a click log that is gone."""
    return SessionState(1, -1, now, now, items, "c" * len(items), (0,) * len(items))


def test_clicks_sent_during_a_recovery_get_lists_of_the_whole_state(
    real_broker: Broker,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    changelog: str,
) -> None:
    now = now_ms()
    whole = {f"shopper{n}": state(tuple(f"item-{n + step + 1}" for step in range(12)), now) for n in range(SHOPPERS)}
    half = {name: state(found.items[:6], now) for name, found in whole.items()}
    other = encode_state(state(("item-1", "item-2", "item-3"), now))
    producer = Producer({"bootstrap.servers": topics, "partitioner": "murmur2_random", "linger.ms": 20})

    def write(name: str, row: bytes) -> None:
        producer.produce(changelog, row, name.encode())
        producer.poll(0)

    for name, old in half.items():
        write(name, encode_state(old))
    for number in range(SESSIONS):
        write(f"other{number}", other)
    for name, newest in whole.items():
        write(name, encode_state(newest))
    assert producer.flush(60) == 0

    def click_each(first: int) -> None:
        for number, name in enumerate(whole):
            storefront.click(name, f"item-{first + number}")
        storefront.flush()

    # Few enough that the items of the state count in every list: the model sees the newest seven
    click_each(100)  # they wait, so that the worker could answer them in its first moment
    worker = start_worker(topics)
    worker.await_log("health and metrics on")
    click_each(120)
    worker.await_log("is in service")  # and the recovery begins
    click_each(140)
    lists.await_answers(storefront.sent)
    worker.await_ready(PARTITIONS)

    answered = {(one.session_id, one.source.offset): one for one in lists.all}
    folded = dict(whole)
    ranker = ranker_of(registry, "1")
    compared = 0
    for one in sorted(storefront.sent, key=lambda one: (one.partition, one.offset)):
        name = one.click.session_id
        folded[name] = fold_click(folded[name], one.click, one.offset, record_ms=one.record_ms)
        if (name, one.offset) in answered:  # clicks of a session that shared a batch share the newest's list
            assert_lists({name: answered[name, one.offset]}, {name: folded[name]}, ranker)
            compared += 1
    assert compared >= SHOPPERS

    def all_counted() -> bool:
        return worker.metric("nextclick_sessions") == SESSIONS + SHOPPERS

    wait_for("the metric, which is set ten times a second, to count all sessions", all_counted, 5)
