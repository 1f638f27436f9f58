"""The Redis that lists are to go to: of which kind it is, and whether it takes them."""

import uuid
from collections.abc import Iterator

import redis

from export.errors import ConfigError
from stream.check.finding import Finding, error, warning
from stream.redis.client import RedisClient
from stream.redis.errors import reason_of, remedy_for
from stream.redis.newest import NEWEST
from stream.redis.sink import PREFIX

__all__ = ["check_redis"]

_TIMEOUT_S = 3.0


def check_redis(url: str | None, prefix: str = "") -> Iterator[Finding]:
    """Write a list of a session that nobody has, for a second, as a worker would."""
    if url is None:
        return
    try:
        client = RedisClient(url, timeout_s=_TIMEOUT_S)
    except ConfigError as problem:
        yield error("redis_url", "redis", str(problem), "correct --redis")
        return
    try:
        yield from _kind(client)
        yield from _answers(client, f"{prefix}{PREFIX}nextclick-check-{uuid.uuid4().hex}")
        yield from _memory(client)
    finally:
        client.close()


def _kind(client: RedisClient) -> Iterator[Finding]:
    """A node of a cluster, or a sentinel, that is taken for a server: it may take some lists, or none."""
    try:
        mode = client.info("server").get("redis_mode", "")
    except (redis.RedisError, OSError):  # no right to ask, or said by what follows
        return
    if client.kind == "single" and mode in ("cluster", "sentinel"):
        what = "a node of a cluster, which takes its own keys only" if mode == "cluster" else "a sentinel, no server"
        path = "" if mode == "cluster" else "/SERVICE/DB"
        yield error(
            f"redis_{mode}", "redis", f"it is {what}", f"say redis+{mode}://HOST:PORT{path} in place of redis://"
        )


def _answers(client: RedisClient, key: str) -> Iterator[Finding]:
    try:
        (answer,) = client.run([("EVAL", NEWEST, 1, key, b"{}", 1)])
        if isinstance(answer, Exception):
            raise answer
    except (redis.RedisError, OSError) as problem:
        reason = reason_of(problem)
        yield error(
            "redis_away" if reason == "away" else f"redis_{reason}",
            "redis",
            f"it does not take a list: {problem}",
            remedy_for(problem) or "check the address, and that it runs",
        )


def _memory(client: RedisClient) -> Iterator[Finding]:
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
