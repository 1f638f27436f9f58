"""What the read API reads: lists out of a cluster, behind sentinels, over TLS and as a user."""

import asyncio

import pytest
import redis

from bench.rig.brokers.redis_server import RedisSentinel, RedisServer
from export.errors import ConfigError
from stream.redis.client import RedisClient
from stream.redis.reading import CONNECTIONS, RedisReader
from stream.serve.errors import SourceAway
from stream.serve.sources.lists import RedisLists
from tests.stream.serve.server import list_of

SESSIONS = [f"s{number}" for number in range(20)]


def assert_reads(url: str, sessions: list[str] = SESSIONS) -> None:
    """What a client of the same URL has written, all sessions at once."""
    writer = RedisClient(url, timeout_s=5)
    writer.run([("SET", f"rec:{session}", list_of(session, 1)[1]) for session in sessions])
    writer.close()

    async def run() -> None:
        lists = RedisLists(url)
        found = await asyncio.gather(*(lists.newest(session, "") for session in [*sessions, "nobody"]))
        assert [one and one.value for one in found] == [*(list_of(one, 1)[1] for one in sessions), None]
        await lists.close()

    asyncio.run(run())


def test_lists_come_from_the_nodes_of_a_cluster(redis_cluster: list[RedisServer]) -> None:
    assert_reads(f"redis+cluster://127.0.0.1:{redis_cluster[0].port}")


def test_lists_come_from_the_primary_that_sentinels_name(sentinel: RedisSentinel) -> None:
    assert_reads(f"redis+sentinel://127.0.0.1:{sentinel.port}/shop/2")


def test_lists_come_over_tls_to_a_user(redis_of_a_shop: str) -> None:
    assert_reads(redis_of_a_shop, SESSIONS[:3])


@pytest.mark.waits
@pytest.mark.parametrize("url", ["redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/shop"])
def test_servers_that_are_away_are_said(url: str) -> None:
    async def run() -> None:
        lists = RedisLists(url)
        with pytest.raises(SourceAway):
            await lists.newest("s", "")
        assert lists.trouble
        await lists.close()

    asyncio.run(run())


def test_node_that_is_taken_for_a_server_is_said_with_the_remedy(redis_cluster: list[RedisServer]) -> None:
    async def run() -> None:
        lists = RedisLists(redis_cluster[0].url)
        found = await asyncio.gather(*(lists.newest(one, "") for one in SESSIONS), return_exceptions=True)
        assert any(isinstance(one, SourceAway) for one in found)
        assert "redis+cluster" in lists.remedy
        await lists.close()

    asyncio.run(run())


def test_url_that_names_no_redis_is_refused_and_its_password_not_told() -> None:
    for url in ("redis+clusters://user:hush@h:1", "redis+sentinel://user:hush@h:1", "redis+cluster://user:hush@h/3"):
        with pytest.raises(ConfigError) as caught:
            RedisReader(url, timeout_s=1)
        assert "hush" not in str(caught.value)


def test_requests_wait_for_a_connection_where_all_are_taken(redis_server: RedisServer) -> None:
    async def run() -> None:
        lists = RedisLists(redis_server.url)
        assert (
            await asyncio.gather(*(lists.newest("s", "") for _ in range(4 * CONNECTIONS))) == [None] * 4 * CONNECTIONS
        )
        await lists.close()

    asyncio.run(run())


def test_answers_are_not_waited_for_without_end(redis_server: RedisServer) -> None:
    async def run() -> None:
        lists = RedisLists(redis_server.url)
        redis_server.pause()
        with pytest.raises(SourceAway) as caught:
            await asyncio.wait_for(lists.newest("s", ""), 10)
        assert isinstance(caught.value.__cause__, redis.RedisError | OSError)
        redis_server.resume()
        await lists.close()

    asyncio.run(run())
