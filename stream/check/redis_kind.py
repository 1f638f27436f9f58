"""The Redis that lists are to go to: of which kind it is, and whether it takes them."""

import uuid
from collections.abc import Iterator
from typing import Any

import redis

from export.errors import ConfigError
from stream.check.finding import Finding, error, warning
from stream.ops.redis_errors import reason_of, remedy_for
from stream.ops.redis_newest import NEWEST
from stream.ops.redis_sink import PREFIX

__all__ = ["check_redis"]

_TIMEOUT_S = 3.0


def check_redis(url: str | None, prefix: str = "") -> Iterator[Finding]:
    """Write a list of a session that nobody has, for a second, as a worker would."""
    if url is None:
        return
    try:
        client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    except (ValueError, ConfigError) as problem:
        yield error("redis_url", "redis", f"not a Redis URL: {problem}", "redis://host:port/0")
        return
    try:
        yield from _answers(client, f"{prefix}{PREFIX}nextclick-check-{uuid.uuid4().hex}")
        yield from _memory(client)
    finally:
        client.close()


def _answers(client: Any, key: str) -> Iterator[Finding]:
    try:
        client.eval(NEWEST, 1, key, b"{}", 1)
    except (redis.RedisError, OSError) as problem:
        reason = reason_of(problem)
        yield error(
            "redis_away" if reason == "away" else f"redis_{reason}",
            "redis",
            f"it does not take a list: {problem}",
            remedy_for(problem) or "check the address, and that it runs",
        )


def _memory(client: Any) -> Iterator[Finding]:
    try:
        found = client.info("memory")
    except (redis.RedisError, OSError):  # no right to ask, or said already
        return
    if int(found.get("maxmemory", 0)) > 0 and found.get("maxmemory_policy") == "noeviction":
        yield warning(
            "redis_noeviction",
            "redis",
            "maxmemory with noeviction: once it is full, lists are refused",
            "set maxmemory-policy volatile-ttl",
        )
