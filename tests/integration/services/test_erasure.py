"""`nextclick erase` beside all that keep sessions, where Redis does not answer and the worker is then killed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pyarrow.parquet as pq
import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.brokers.redis_server import RedisServer
from bench.rig.clients import Lists, Storefront, read_topic
from bench.rig.oracle import folded, stored
from bench.rig.workers import Worker, cli
from export.registry.registry import Registry
from stream.messages.erasures import decode_erasure, digest
from stream.topic_names import Topics
from tests.integration.conftest import StartService, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(480)]

ANNA, USER, OTHER = "shopper-anna", "user-77", "shopper-ben"
VISITS = ("visit-monday", "visit-friday")  # the user's
ERASED = (ANNA, *VISITS)
ALL_PARTS = ("worker", "redis", "serve", "trainer")


@pytest.fixture
def erase(topics: str, naming: tuple[str, ...], group: str) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Asks for Anna and the user to be erased; the exit code, what is printed as JSON, and what is said."""

    def ask(timeout_s: float, *options: str) -> tuple[int, dict[str, Any], str]:
        where = ("--bootstrap-servers", topics, *naming, "--group", group, "--timeout", f"{timeout_s:g}", "--json")
        expected = itertools.chain.from_iterable(("--expect", part) for part in ALL_PARTS[1:])
        ended = cli("erase", "--session", ANNA, "--user", USER, *where, *expected, *options, timeout_s=timeout_s + 60)
        assert ended.returncode in (0, 1), ended.stderr
        return ended.returncode, json.loads(ended.stdout), ended.stderr

    return ask


def sessions_stored(registry: Registry) -> set[str]:
    """Whose clicks the trainer has."""
    files = (Path(registry.url) / ".clicks").glob("*.parquet")
    return {str(name) for file in files for name in pq.read_table(file).column("session_id").to_pylist()}


def served(serve: Worker, session: str) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{serve.port}/recommendations/{session}", timeout=5) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        error.close()
    except (OSError, HTTPException):
        pass  # it begins still
    return False


def confirmed(asked: dict[str, Any]) -> dict[str, set[str]]:
    """Who confirmed, by session."""
    return {one["session_id"]: {said["part"] for said in one["confirmed"]} for one in asked["asked"]}


def erased(asked: dict[str, Any], part: str) -> dict[str, int]:
    """How many of its things a part has erased, by session."""
    return {
        one["session_id"]: sum(said["erased"].values())
        for one in asked["asked"]
        for said in one["confirmed"]
        if said["part"] == part
    }


def test_sessions_of_a_shopper_are_nowhere_any_more_though_redis_was_silent_and_the_worker_killed(
    topics: str,
    names: Topics,
    changelog: str,
    registry: Registry,
    storefront: Storefront,
    lists: Lists,
    redis_server: RedisServer,
    start_worker: StartWorker,
    start_service: StartService,
    erase: Callable[..., tuple[int, dict[str, Any], str]],
) -> None:
    options = ("--guarantee", "exactly-once", "--redis", redis_server.url)
    worker = start_worker(topics, *options)
    serve, trainer = start_service("serve"), start_service("trainer", "--registry", registry.url, "--flush-s", "0.5")
    worker.await_ready()
    for item in ("item-1", "item-2", "item-3"):
        storefront.click(ANNA, item)
        storefront.click(OTHER, item)
        for visit in VISITS:
            storefront.click(visit, item, user=USER)
    storefront.flush()
    lists.await_answers(storefront.sent)

    def in_redis(session: str) -> bool:
        with redis_server.client() as client:
            return bool(client.exists(f"{names.prefix}rec:{session}"))

    def everywhere() -> bool:
        everyone = (*ERASED, OTHER)
        return set(everyone) <= sessions_stored(registry) and all(in_redis(s) and served(serve, s) for s in everyone)

    wait_for("lists in Redis and at the read API, clicks in the trainer's store", everywhere, 90)

    redis_server.pause()
    code, asked, said = erase(60, "--without", "redis")
    assert (code, asked["confirmed"]) == (0, True), said
    without_redis = set(ALL_PARTS) - {"redis"}
    assert confirmed(asked) == dict.fromkeys((*ERASED, USER), without_redis)
    assert erased(asked, "worker") == {**dict.fromkeys(ERASED, 3), USER: 0}
    assert erased(asked, "serve") == {**dict.fromkeys(ERASED, 1), USER: 0}
    assert erased(asked, "trainer") == {**dict.fromkeys(ERASED, 3), USER: 0}
    assert {one["topic"] for one in asked["kept"]} >= {names.clicks, names.recommendations, changelog}
    waits = "lists of erased sessions can't be taken out of Redis"
    wait_for("the worker to say so", lambda: any(waits in one for one in worker.health()["reasons"]), 30)
    code, asked, said = erase(2)
    assert (code, asked["confirmed"]) == (1, False)
    assert all("redis" in one["missing"] for one in asked["asked"])
    assert "not confirmed within 2 s: " in said
    worker.kill()
    redis_server.resume()
    assert all(in_redis(session) for session in ERASED), "what the killed worker could not take"

    again = start_worker(topics, *options)
    again.await_ready()
    wait_for("lists out of Redis", lambda: not any(in_redis(session) for session in ERASED), 30)
    assert sessions_stored(registry) == {OTHER}
    assert not any(served(serve, session) for session in ERASED)
    lists.read_on()
    assert set(lists.erased) == {*ERASED, USER}
    assert in_redis(OTHER)
    assert served(serve, OTHER)
    assert set(stored(read_topic(topics, changelog, committed=True))) == {OTHER}

    storefront.click(ANNA, "item-9")
    storefront.flush()
    lists.await_answers(storefront.sent[-1:])
    fresh = folded(storefront.sent[-1:])
    assert stored(read_topic(topics, changelog, committed=True))[ANNA] == fresh[ANNA]

    code, asked, said = erase(45)
    assert (code, asked["confirmed"]) == (0, True), said
    assert erased(asked, "worker") == {ANNA: 1, **dict.fromkeys((*VISITS, USER), 0)}
    told = [decode_erasure(one.value()) for one in read_topic(topics, names.erasures)]
    assert {one.part for one in told if one is not None} == set(ALL_PARTS[1:])
    for one in (worker, again, serve, trainer):
        text = one.log.read_text()
        assert f"erased session {digest(ANNA)}" in text, one.log
        assert ANNA not in text, "logs name erased sessions by their digest"
