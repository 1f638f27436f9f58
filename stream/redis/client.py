"""A client for whatever kind of Redis the URL names.

    redis://USER:PASSWORD@HOST:PORT/DB                         one server; rediss:// over TLS, unix:// by a socket
    redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT          a cluster: some of its nodes, the others are found
    redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DB    the primary that sentinels name, also after a
                                                               failover

Sentinels that ask for a login: `?sentinel_username=NAME&sentinel_password=WORD`.
`rediss+cluster`, `rediss+sentinel`: over TLS. What stands behind `?` are options of redis-py: ssl_ca_certs=/ca.pem.
Nothing is connected before the first command; what a cluster says in its own words is a RedisError here.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.exceptions import RedisClusterException
from redis.sentinel import Sentinel

from export.errors import ConfigError

__all__ = ["RedisClient"]

_PORT, _SENTINEL_PORT = 6379, 26379
_KINDS = ("cluster", "sentinel")
_FORMS = (
    "redis://HOST:PORT/DB, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB, "
    "with rediss for TLS"
)


class RedisClient:
    """For one thread. `kind`: single, cluster or sentinel."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """ConfigError where the URL names no Redis; it never repeats the URL, which may hold a password."""
        times = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "health_check_interval": 30}
        scheme, _, rest = url.partition("://")
        transport, _, kind = scheme.partition("+")
        self.kind = kind or "single"
        try:
            if not kind:
                client = redis.Redis.from_url(url, **times)
                self._make: Callable[[], Any] = lambda: client
            elif kind in _KINDS and transport in ("redis", "rediss"):
                self._make = _of_several(kind, transport, rest, times)
            else:
                raise ValueError(f"{scheme}:// is no scheme of it")
        except (ValueError, IndexError) as error:
            raise ConfigError(f"not a Redis URL ({_FORMS}): {error}") from None
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


def _of_several(kind: str, transport: str, rest: str, times: dict[str, Any]) -> Callable[[], Any]:
    place, _, query = rest.partition("?")
    login, _, place = place.rpartition("@")
    names, _, path = place.partition("/")
    hosts = [_address(name, _PORT if kind == "cluster" else _SENTINEL_PORT) for name in names.split(",") if name]
    if not hosts:
        raise ValueError("it names no host")
    plain = f"{transport}://{login}{'@' if login else ''}{hosts[0][0]}{'?' if query else ''}{query}"
    options: dict[str, Any] = {**times, **parse_url(plain)}  # type: ignore[no-untyped-call]
    for name in ("host", "port"):
        options.pop(name, None)
    if options.pop("connection_class", None) is not None:
        options["ssl"] = True
    if kind == "cluster":
        if path.strip("/") not in ("", "0"):
            raise ValueError("a cluster has database 0 only")
        nodes = [ClusterNode(*host) for host in hosts]  # type: ignore[no-untyped-call]
        return lambda: RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("a name of the service that the sentinels watch is missing, as in /mymaster/0")
    options["db"] = int(database or options.get("db", 0))
    of_sentinels = {name: value for name, value in options.items() if name in times or name.startswith("ssl")}
    for name in ("username", "password"):
        if (said := options.pop(f"sentinel_{name}", None)) is not None:
            of_sentinels[name] = said
    sentinels: Any = Sentinel(hosts, sentinel_kwargs=of_sentinels, **options)  # type: ignore[no-untyped-call]
    return lambda: sentinels.master_for(unquote(service))


def _address(text: str, port: int) -> tuple[str, int]:
    """host, host:port, [::1]:port."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest.lstrip(":") or port)
    host, _, said = text.partition(":")
    return unquote(host), int(said or port)


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
