"""Lists in a cluster, behind sentinels, over TLS and as a user; and URLs that name no Redis."""

from collections.abc import Callable

import pytest

from bench.rig.brokers.redis_server import RedisSentinel, RedisServer
from export.errors import ConfigError
from stream.check.redis_kind import check_redis
from stream.redis.client import RedisClient
from tests.stream.redis.conftest import Eventually, Sunk
from tests.stream.redis.test_sink import value_of

LISTS = [(f"s{number}", b"x" * 100) for number in range(200)]


def checks(url: str) -> list[str]:
    return [one.check for one in check_redis(url)]


def test_redis_cluster_takes_every_list_in_its_node(
    redis_cluster: list[RedisServer], sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster)
    one = sunk(url)
    one.sink.put(LISTS)
    eventually(lambda: value_of(one.metrics, "written") == len(LISTS), "all lists")
    assert one.wrong() == {}
    sizes = []
    for node in redis_cluster:
        with node.client() as client:
            sizes.append(client.dbsize())
    assert sum(sizes) == len(LISTS)
    assert min(sizes) > 50
    client = RedisClient(url, timeout_s=5)
    assert client.info("stats")["evicted_keys"] == 0
    client.close()
    assert checks(url) == []
    assert "redis_cluster" in checks(redis_cluster[0].url), "a node that is taken for a server"


def test_redis_of_sentinels_is_the_primary_they_name(
    sentinel: RedisSentinel, redis_server: RedisServer, sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    one = sunk(f"redis+sentinel://127.0.0.1:{sentinel.port}/shop/2")
    one.sink.put(LISTS)
    eventually(lambda: value_of(one.metrics, "written") == len(LISTS), "all lists")
    with redis_server.client() as client:
        assert client.info("keyspace")["db2"]["keys"] == len(LISTS)
    assert checks(f"redis+sentinel://127.0.0.1:{sentinel.port}/shop") == []
    assert checks(f"redis+sentinel://127.0.0.1:{sentinel.port}/other") == ["redis_away"]
    assert "redis_sentinel" in checks(f"redis://127.0.0.1:{sentinel.port}/0")


def test_redis_over_tls_with_a_user_of_its_own(
    redis_of_a_shop: str, sunk: Callable[[str], Sunk], eventually: Eventually
) -> None:
    one = sunk(redis_of_a_shop)
    one.sink.put(LISTS)
    eventually(lambda: value_of(one.metrics, "written") == len(LISTS), "all lists")
    assert checks(redis_of_a_shop) == []
    other = sunk(redis_of_a_shop.partition("?")[0])
    other.sink.put(LISTS)
    eventually(lambda: "certificate verify failed" in other.wrong().get("redis_away", ""), "the refusal")


def test_check_of_redis_finds_rights_replicas_and_memory(redis_server: RedisServer) -> None:
    assert checks(redis_server.url) == []
    with redis_server.client() as client:
        client.execute_command("ACL SETUSER shop on >pw ~rec:* +get +set +info")
        assert checks(redis_server.url.replace("redis://", "redis://shop:pw@")) == ["redis_no_permission"]
        assert checks(redis_server.url.replace("redis://", "redis://shop:no@")) == ["redis_no_permission"]
        client.execute_command("CONFIG SET maxmemory 100mb")
        assert checks(redis_server.url) == ["redis_noeviction"]
        client.execute_command("CONFIG SET maxmemory 0")
        client.execute_command("REPLICAOF 127.0.0.1 1")
        assert checks(redis_server.url) == ["redis_read_only"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:hush@h:1", "scheme"),
        ("redis+clusters://user:hush@h:1", r"redis\+clusters:// is no scheme"),
        ("unix+cluster://user:hush@h:1", "is no scheme"),
        ("redis+cluster://user:hush@", "names no host"),
        ("redis+cluster://user:hush@h:1/3", "database 0 only"),
        ("redis+cluster://user:hush@h:port", "invalid literal"),
        ("redis+sentinel://user:hush@h:1", "name of the service"),
        ("redis+sentinel://user:hush@h:1/shop/two", "invalid literal"),
    ],
)
def test_url_that_names_no_redis_is_refused_and_its_password_not_told(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        RedisClient(url, timeout_s=1)
    assert "hush" not in str(caught.value)
    assert checks(url) == ["redis_url"]
