"""The same lists in a real Redis server: with a time to live, and without harm when it goes away."""

from __future__ import annotations

import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.brokers.redis_server import RedisServer
from bench.rig.clients import Flow, Lists, Storefront
from stream.messages.contract import decode_recommendation
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]


def stored(server: RedisServer, names: Topics, session_id: str) -> object:
    with server.client() as client:
        value = client.get(f"{names.prefix}rec:{session_id}")
    assert value is None or isinstance(value, bytes)
    return value and decode_recommendation(value)


def test_redis_holds_the_last_list_of_each_session_with_a_time_to_live(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    redis_server: RedisServer,
    names: Topics,
) -> None:
    start_worker(topics, "--redis", redis_server.url, "--redis-ttl", "600").await_ready()
    with Flow(storefront, rate=500, sessions=30, items=ITEMS) as flow:
        flow.confirmed(300)
    lists.await_answers(storefront.sent)

    def all_stored() -> bool:
        return all(stored(redis_server, names, name) == last for name, last in lists.last.items())

    wait_for("the last list of every session in Redis", all_stored)
    with redis_server.client() as client:
        assert all(0 < int(str(client.ttl(f"{names.prefix}rec:{name}"))) <= 600 for name in lists.last)
        assert int(str(client.dbsize())) == len(lists.last)


def test_redis_stopped_and_started_again_recommendations_go_on_and_it_is_filled_again(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    redis_server: RedisServer,
    names: Topics,
) -> None:
    worker = start_worker(topics, "--redis", redis_server.url)
    worker.await_ready()
    with Flow(storefront, rate=500, sessions=30, items=ITEMS) as flow:
        flow.confirmed(200)
        redis_server.stop()
        flow.confirmed(500)
        lists.await_answers(list(storefront.sent), deadline_s=15)
        wait_for("errors to be counted", lambda: worker.metric("nextclick_redis_errors_total") > 0)
        redis_server.start()
        flow.confirmed(500)
        wait_for("lists in Redis again", lambda: stored(redis_server, names, "s1"))
    lists.await_answers(storefront.sent)
    last = lists.last["s1"]
    wait_for("the last list in Redis", lambda: stored(redis_server, names, "s1") == last)
    assert worker.health()["ready"]
