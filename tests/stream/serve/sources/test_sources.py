"""Where lists come from and clicks go to: Redis, and a broker that is away."""

import asyncio
import socket

import pytest
import redis

from bench.rig.brokers.redis_server import RedisServer
from export.errors import ConfigError
from stream.serve.clicks import ClickWriter, Sound
from stream.serve.errors import SourceAway
from stream.serve.sources.lists import RedisLists
from tests.stream.serve.server import list_of


def test_redis_lists_are_those_that_workers_put_there(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    plain, home = list_of("serve", 7)[1], list_of("serve", 8, "home")[1]
    client.set("a.rec:serve", plain)
    client.set("a.rec:serve:home", home)
    client.set("a.rec:other", b"not a list")
    client.set("a.similar:sku", b"{}")

    async def run() -> None:
        lists = RedisLists(redis_server.url, "a.")
        newest, placed = await lists.newest("serve", ""), await lists.newest("serve", "home")
        assert newest is not None
        assert placed is not None
        assert (newest.value, newest.offset, placed.value) == (plain, 7, home)
        assert await lists.newest("other", "") is None
        assert await lists.newest("nobody", "") is None
        assert await lists.similar("sku") == b"{}"
        await lists.close()

    asyncio.run(run())


def test_redis_away_is_said_and_a_wrong_url_refused() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]

        async def run() -> None:
            lists = RedisLists(f"redis://127.0.0.1:{port}/0")
            with pytest.raises(SourceAway):
                await lists.newest("s", "")
            assert lists.trouble
            await lists.close()

        asyncio.run(run())
    with pytest.raises(ConfigError):
        RedisLists("http://nowhere")


@pytest.mark.waits
def test_clicks_without_a_broker_are_not_confirmed_and_say_so() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        writer = ClickWriter(f"127.0.0.1:{nobody.getsockname()[1]}", "clicks", confirm_s=0.3)

        async def run() -> list[tuple[int, int] | str]:
            writer.start()
            try:
                return await writer.send([Sound(b"s", b"{}"), Sound(b"t", b"{}")])
            finally:
                await asyncio.to_thread(writer.stop, 0.1)

        outcome = asyncio.run(run())
    assert all(isinstance(one, str) for one in outcome)
    assert writer.trouble
