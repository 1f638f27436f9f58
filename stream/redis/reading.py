"""Reads out of whatever kind of Redis the URL names (address.py), on an event loop."""

from typing import Any

import redis
from redis import asyncio as redis_asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisClusterException

from stream.redis.address import RedisAddress, address_of, refused

__all__ = ["CONNECTIONS", "RedisReader"]

CONNECTIONS = 16  # to a server, at most: more `get` at a time are refused. TLS takes 50 ms each to begin


class RedisReader:
    """Nothing is connected before the first `get`. For one event loop."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """ConfigError where the URL names no Redis."""
        times = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        self._address = address_of(url, times)
        with refused():
            self._client: Any = _client(self._address, times)

    async def get(self, key: str) -> bytes | None:
        """The value; RedisError or OSError where there is no answer."""
        try:
            return await self._got(key)
        except RedisClusterException as error:  # no RedisError
            raise redis.ConnectionError(str(error)) from error
        except AttributeError as error:
            # redis-py's cluster closes all connections to find its nodes anew, also those that others write to
            raise redis.ConnectionError("the nodes of the cluster are looked for anew") from error

    async def _got(self, key: str) -> bytes | None:
        found: bytes | None = await self._client.get(key)
        return found

    async def close(self) -> None:
        """Leave Redis."""
        if self._address.kind == "cluster":
            await self._client.aclose()
        else:
            await self._client.connection_pool.disconnect()


def _client(address: RedisAddress, times: dict[str, Any]) -> Any:
    if address.kind == "single":
        return redis_asyncio.Redis.from_url(address.url, max_connections=CONNECTIONS, **times)
    options = {**address.options, "max_connections": CONNECTIONS}
    if address.kind == "cluster":
        nodes = [ClusterNode(*host) for host in address.hosts]
        # No steps after which a cluster that moves keys is looked at anew: that closes connections under others, and
        # each answer `MOVED` says where the keys are
        return RedisCluster(startup_nodes=nodes, require_full_coverage=False, reinitialize_steps=0, **options)
    sentinels: Any = Sentinel(address.hosts, sentinel_kwargs=address.of_sentinels, **options)  # type: ignore[no-untyped-call]
    return sentinels.master_for(address.service)
