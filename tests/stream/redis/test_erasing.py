"""Lists of erased sessions go out of Redis of every kind, and come back by nobody's delay."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.rig.brokers.redis_server import RedisServer
from bench.rig.clients import now_ms
from stream.messages.contract import Recommendation, Source, encode
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.redis import erasing
from stream.redis.sink import RedisSink
from tests.stream.redis.conftest import Eventually, Sunk
from tests.stream.redis.test_sink import value_of

ERASE = Source("clicks", 1, 5)


def a_list(session: str, offset: int, partition: int = 1) -> bytes:
    return encode(Recommendation(session, [], "7", "default", True, Source("clicks", partition, offset), 1, 2))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_AGAIN_S", 0.5)


def test_lists_up_to_the_erase_go_and_those_of_later_clicks_and_other_sessions_stay(
    redis_server: RedisServer, sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    with redis_server.client() as client:
        rows = {
            "rec:s": a_list("s", 4),
            "rec:s:home": a_list("s", 5),
            "rec:s:late": a_list("s", 6),
            "rec:s:moved": a_list("s", 9, partition=0),
            "rec:s:x": a_list("s:x", 1),  # of another session
        }
        client.mset(rows)
        one = sunk(redis_server.url)
        one.sink.put([("s", a_list("s", 3)), ("t", a_list("t", 3))])  # which may wait still
        one.sink.erase("s", ERASE, ["s", "s:home", "s:late", "s:moved", "s:x", "s:unknown"])
        eventually(lambda: value_of(one.metrics, "erased") >= 3, "lists to go")
        assert sorted(client.keys("rec:*")) == [b"rec:s:late", b"rec:s:x", b"rec:t"]
        client.set("rec:s", a_list("s", 2))  # by a worker that has lost the partition
        eventually(lambda: not client.exists("rec:s"), "the second erase")
    assert one.wrong() == {}


def test_erase_waits_until_redis_is_back(
    redis_server: RedisServer, sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    one = sunk(redis_server.url)
    redis_server.stop()
    one.sink.erase("s", ERASE, ["s"])
    eventually(lambda: "redis_erasures" in one.wrong(), "a word about it")
    redis_server.start()
    with redis_server.client() as client:
        client.set("rec:s", a_list("s", 4))
        eventually(lambda: not client.exists("rec:s"), "the erase")
    eventually(lambda: "redis_erasures" not in one.wrong(), "nothing to be wrong")


def test_erase_that_is_done_again_leaves_what_waits_and_says_nothing_of_nothing(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    told: list[tuple[str, int]] = []
    metrics = Metrics()
    teller: Any = SimpleNamespace(
        tell=lambda session, _, erased: told.append((session, erased["lists"])), close=lambda: None
    )
    sink = RedisSink(redis_server.url, 60, metrics, teller=teller)
    with redis_server.client() as client:
        client.set("rec:late", a_list("late", 4))
        long_ago, now = now_ms() - 61_000, now_ms()
        sink.put([("back", a_list("back", 6))])
        sink.erase("back", ERASE, ["back"], asked_ms=now)
        sink.erase("gone", ERASE, ["gone"], asked_ms=long_ago)
        sink.erase("late", ERASE, ["late"], asked_ms=long_ago)
        eventually(lambda: ("late", 1) in told, "the last of them")
        eventually(lambda: bool(client.exists("rec:back")), "the list of a later click")
    sink.close()
    assert told == [("back", 0), ("late", 1)]


def test_erase_that_redis_never_takes_ends_with_the_time_of_its_lists(
    redis_server: RedisServer, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    problems = Problems(metrics.problem)
    sink = RedisSink(redis_server.url, 1, metrics, problems)
    redis_server.stop()
    sink.erase("s", ERASE, ["s"])
    eventually(lambda: bool(problems.lasting()), "a word about it")
    eventually(lambda: "went by themselves, after 1 s" in caplog.text, "an end")
    eventually(lambda: not problems.lasting(), "nothing to be wrong")
    sink.close(timeout_s=0.1)


def test_erase_in_a_cluster_finds_each_key_in_its_node(
    redis_cluster: list[RedisServer], sunk: Callable[[str], Sunk], eventually: Eventually, tmp_path: Path
) -> None:
    one = sunk("redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster))
    names = ["s", *(f"s:p{number}" for number in range(20))]
    one.sink.put([(name, a_list("s", 4)) for name in names])
    eventually(lambda: value_of(one.metrics, "written") == len(names), "all lists")
    one.sink.erase("s", ERASE, names)
    eventually(lambda: value_of(one.metrics, "erased") == len(names), "all lists to go")
    for node in redis_cluster:
        with node.client() as client:
            assert client.dbsize() == 0
