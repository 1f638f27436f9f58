"""A client for whatever kind of Redis the URL names (address.py).

Nothing is connected before the first command; what a cluster says in its own words is a RedisError here.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException
from redis.sentinel import Sentinel

from stream.redis.address import RedisAddress, address_of, refused

__all__ = ["RedisClient"]


class RedisClient:
    """For one thread. `kind`: single, cluster or sentinel."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """ConfigError where the URL names no Redis; it never repeats the URL, which may hold a password."""
        times = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "health_check_interval": 30}
        address = address_of(url, times)
        self.kind = address.kind
        with refused():
            self._make = _maker(address, times)
        self._client: Any = None

    def run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers to many commands in one exchange, errors among them; RedisError or OSError where there is no
        answer at all."""
        with _translated():
            pipeline = self._connected().pipeline(**({} if self.kind == "cluster" else {"transaction": False}))
            with pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return list(pipeline.execute(raise_on_error=False))

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO; of a cluster's primaries, numbers are summed up."""
        with _translated():
            client = self._connected()
            if self.kind != "cluster":
                return dict(client.info(section))
            return _summed(list(client.info(section, target_nodes=RedisCluster.PRIMARIES).values()))

    def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            with contextlib.suppress(redis.RedisError, RedisClusterException, OSError):
                self._client.close()

    def _connected(self) -> Any:
        """A cluster's client asks a node for the others as it is made."""
        if self._client is None:
            self._client = self._make()
        return self._client


def _maker(address: RedisAddress, times: dict[str, Any]) -> Callable[[], Any]:
    if address.kind == "single":
        client = redis.Redis.from_url(address.url, **times)
        return lambda: client
    if address.kind == "cluster":
        nodes = [ClusterNode(*host) for host in address.hosts]  # type: ignore[no-untyped-call]
        return lambda: RedisCluster(startup_nodes=nodes, require_full_coverage=False, **address.options)
    sentinels: Any = Sentinel(address.hosts, sentinel_kwargs=address.of_sentinels, **address.options)  # type: ignore[no-untyped-call]
    return lambda: sentinels.master_for(address.service)


def _summed(sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section in sections:
        for name, value in section.items():
            found[name] = found[name] + value if isinstance(found.get(name), int | float) else value
    return found


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What redis-py raises of a cluster that can't be reached is no RedisError."""
    try:
        yield
    except RedisClusterException as error:
        raise redis.ConnectionError(str(error)) from error
