"""A Redis that answers, but not with OK: every list refused is counted, and it is said once, with the remedy."""

from collections.abc import Callable

import pytest

from bench.rig.brokers.redis_server import RedisServer
from tests.stream.redis.conftest import Eventually, Sunk
from tests.stream.redis.test_sink import value_of

LISTS = [(f"s{number}", b"x" * 100) for number in range(200)]


def test_redis_node_of_a_cluster_takes_its_own_keys_and_the_others_are_counted(
    redis_cluster: list[RedisServer], sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    one = sunk(redis_cluster[0].url)
    one.sink.put(LISTS)
    eventually(lambda: value_of(one.metrics, "written") > 0, "the node's own keys")
    eventually(lambda: one.refused("moved") > 0, "the others")
    eventually(lambda: "redis_refuses" in one.wrong(), "the problem")  # said once all is counted
    assert value_of(one.metrics, "written") + one.refused("moved") == len(LISTS)
    assert value_of(one.metrics, "dropped") == one.refused("moved") > 50
    assert "cluster" in one.wrong()["redis_refuses"]
    with redis_cluster[0].client() as client:
        assert client.dbsize() == value_of(one.metrics, "written")


def test_redis_that_allows_some_keys_takes_these_and_counts_the_others(
    redis_server: RedisServer, sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    with redis_server.client() as client:
        client.execute_command("ACL SETUSER shop on >pw ~rec:a* +eval +get +set +info +ping +client")
    one = sunk(redis_server.url.replace("redis://", "redis://shop:pw@"))
    one.sink.put([("a1", b"x"), ("b1", b"x"), ("a2", b"x")])
    eventually(lambda: value_of(one.metrics, "written") == 2, "the lists allowed")
    assert (one.refused("no_permission"), value_of(one.metrics, "dropped")) == (1, 1)
    eventually(lambda: "ACL" in one.wrong().get("redis_refuses", ""), "the words")


@pytest.mark.parametrize(
    ("break_it", "mend_it", "reason", "word"),
    [
        (("CONFIG SET maxmemory 1",), ("CONFIG SET maxmemory 0",), "out_of_memory", "maxmemory"),
        (("REPLICAOF 127.0.0.1 1",), ("REPLICAOF NO ONE",), "read_only", "replica"),
    ],
    ids=["full", "replica"],
)
def test_redis_that_takes_nothing_is_said_and_written_to_again_once_it_is_mended(
    redis_server: RedisServer,
    sunk: Callable[[str], Sunk],
    eventually: Eventually,
    break_it: tuple[str, ...],
    mend_it: tuple[str, ...],
    reason: str,
    word: str,
) -> None:
    with redis_server.client() as client:
        for command in break_it:
            client.execute_command(*command.split())
        one = sunk(redis_server.url)
        one.sink.put(LISTS)
        eventually(lambda: one.refused(reason) >= len(LISTS), "the refusal")
        eventually(lambda: word in one.wrong().get("redis_away", ""), "the words")
        assert value_of(one.metrics, "written") == 0
        for command in mend_it:
            client.execute_command(*command.split())
        eventually(lambda: value_of(one.metrics, "written") == len(LISTS), "the lists")
        eventually(lambda: one.wrong() == {}, "nothing wrong any more")
        assert value_of(one.metrics, "dropped") == 0


def test_redis_that_evicts_lists_is_said(
    redis_server: RedisServer, sunk: Callable[[str], Sunk], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.redis.sink._LOOK_S", 0.0)
    with redis_server.client() as client:
        client.config_set("maxmemory", str(int(client.info("memory")["used_memory"]) + 1_000_000))
        client.config_set("maxmemory-policy", "allkeys-lru")
    one = sunk(redis_server.url)
    one.sink.put([("first", b"x")])
    eventually(lambda: value_of(one.metrics, "written") == 1, "the first list")
    for number in range(40):
        one.sink.put([(f"s{number}-{n}", b"x" * 10_000) for n in range(20)])
    eventually(lambda: value_of(one.metrics, "evicted") > 0 and "redis_evicts" in one.wrong(), "the evictions")
    assert "redis-ttl" in one.wrong()["redis_evicts"]
