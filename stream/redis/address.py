"""Which Redis a URL names.

    redis://USER:PASSWORD@HOST:PORT/DB                         one server; rediss:// over TLS, unix:// by a socket
    redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT          a cluster: some of its nodes, the others are found
    redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DB    the primary that sentinels name, also after a
                                                               failover

Sentinels that ask for a login: `?sentinel_username=NAME&sentinel_password=WORD`.
`rediss+cluster`, `rediss+sentinel`: over TLS. What stands behind `?` are options of redis-py: ssl_ca_certs=/ca.pem.
"""

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

from redis.connection import parse_url

from export.errors import ConfigError

__all__ = ["RedisAddress", "address_of", "refused"]

_PORT, _SENTINEL_PORT = 6379, 26379
_KINDS = ("cluster", "sentinel")
_FORMS = (
    "redis://HOST:PORT/DB, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB, "
    "with rediss for TLS"
)


class RedisAddress(NamedTuple):
    """Of one server the URL is all there is; of several, what their clients are made with."""

    kind: str  # single, cluster or sentinel
    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""  # that the sentinels watch
    options: Mapping[str, Any] = MappingProxyType({})
    of_sentinels: Mapping[str, Any] = MappingProxyType({})  # for the sentinels themselves


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What a URL's parts are refused with is a ConfigError, which never repeats the URL: it may hold a password."""
    try:
        yield
    except (ValueError, IndexError, TypeError) as error:
        raise ConfigError(f"not a Redis URL ({_FORMS}): {error}") from None


def address_of(url: str, times: dict[str, Any]) -> RedisAddress:
    """ConfigError where the URL names no Redis. times: options of every connection."""
    scheme, _, rest = url.partition("://")
    transport, _, kind = scheme.partition("+")
    with refused():
        if not kind:
            return RedisAddress("single", url)
        if kind in _KINDS and transport in ("redis", "rediss"):
            return _of_several(kind, transport, rest, times)
        raise ValueError(f"{scheme}:// is no scheme of it")


def _of_several(kind: str, transport: str, rest: str, times: dict[str, Any]) -> RedisAddress:
    place, _, query = rest.partition("?")
    login, _, place = place.rpartition("@")
    names, _, path = place.partition("/")
    port = _PORT if kind == "cluster" else _SENTINEL_PORT
    hosts = tuple(_host(name, port) for name in names.split(",") if name)
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
        return RedisAddress(kind, "", hosts, options=options)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("a name of the service that the sentinels watch is missing, as in /mymaster/0")
    options["db"] = int(database or options.get("db", 0))
    of_sentinels = {name: value for name, value in options.items() if name in times or name.startswith("ssl")}
    for name in ("username", "password"):
        if (said := options.pop(f"sentinel_{name}", None)) is not None:
            of_sentinels[name] = said
    return RedisAddress(kind, "", hosts, unquote(service), options, of_sentinels)


def _host(text: str, port: int) -> tuple[str, int]:
    """host, host:port, [::1]:port."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest.lstrip(":") or port)
    host, _, said = text.partition(":")
    return unquote(host), int(said or port)
