"""What the read API can be told, checked when it starts."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["ServeConfig"]

_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """One server. Raises ConfigError where it would be open to more than its owner said."""

    host: str = "127.0.0.1"
    port: int = 8086  # 0: any free port, printed at start
    keys: Path | None = None  # file of the API keys; None: whoever reaches it may read and write
    without_keys: bool = False  # said on purpose, where others than this machine reach it
    origins: tuple[str, ...] = ()  # of pages that browsers let read it; `*`: of all

    redis_url: str | None = field(default=None, repr=False)  # lists are read there, and none is kept here
    ttl_s: int = 1800  # how long a list is kept after it was published
    window_s: float | None = None  # how far before the end lists are read at the start; None: as long as they are kept
    memory_mb: int = 512  # lists that are kept; the oldest go
    similar_mb: int = 512  # lists of similar items that are kept; 0: the topic is not read

    fallback: str | None = field(default=None, repr=False)  # a registry: who has no list gets its popular items
    policy: Path | None = None  # what lists of popular items leave out, and their placements
    k: int = 20  # items in a list of popular ones, where the policy does not say
    max_items: int = 2_000_000  # of the topic `items` that are kept for that

    max_waiting: int = 10_000  # requests that wait for an update at a time
    longest_wait_s: float = 60.0  # of a long poll
    heartbeat_s: float = 15.0  # between two signs of life on a stream
    max_body_kb: int = 1024
    max_clicks: int = 1000  # of one request
    confirm_s: float = 5.0  # for the broker to have a click
    grace_s: float = 5.0  # for requests that are answered when the server is asked to end

    def __post_init__(self) -> None:
        require_finite(self)
        _require(0 <= self.port <= 65_535, f"the port must be 0 to 65535, not {self.port}")
        _require(bool(self.host.strip()), "the host is missing: 127.0.0.1, or 0.0.0.0 for all who reach it")
        _require(
            self.keys is not None or self.without_keys or _is_loopback(self.host),
            f"on {self.host} others would reach it: give --api-keys FILE, or --without-keys if all may read and write",
        )
        _require(not (self.keys and self.without_keys), "--api-keys and --without-keys contradict each other")
        for origin in self.origins:
            scheme, found, rest = origin.partition("://")
            _require(
                origin == "*" or (scheme in ("http", "https") and bool(found and rest) and "/" not in rest),
                f"{origin!r} is no origin: https://shop.example, without a path, or *",
            )
        _require(1 <= self.ttl_s <= 365 * _DAY_S, f"lists are kept 1 second to a year, not {self.ttl_s} s")
        _require(self.window_s is None or self.window_s >= 0, f"--from-s must be 0 or more, not {self.window_s}")
        _require(self.memory_mb >= 1, "lists need at least a megabyte")
        _require(self.similar_mb >= 0, f"--similar-mb must be 0 or more, not {self.similar_mb}")
        _require(self.fallback is not None or self.policy is None, "--policy is that of --fallback REGISTRY: give both")
        _require(1 <= self.k <= 1_000, f"a list has 1 to 1000 items, not {self.k}")
        _require(self.max_items >= 1, "at least one item must be kept (--max-items)")
        _require(self.max_waiting >= 1, "at least one request must be able to wait")
        _require(0 < self.longest_wait_s <= _DAY_S, f"a long poll ends after 0 s to a day, not {self.longest_wait_s} s")
        _require(0 < self.heartbeat_s <= _DAY_S, f"signs of life come every 0 s to a day, not {self.heartbeat_s} s")
        _require(1 <= self.max_body_kb <= 65_536, f"a body has 1 to 65536 KB, not {self.max_body_kb}")
        _require(1 <= self.max_clicks <= 100_000, f"a request has 1 to 100000 clicks, not {self.max_clicks}")
        _require(0 < self.confirm_s <= 300, f"a click is confirmed within 0 to 300 s, not {self.confirm_s}")
        _require(0 <= self.grace_s <= 300, f"an end takes 0 to 300 s, not {self.grace_s}")

    @property
    def first_window_s(self) -> float:
        """How far before the end of the topic lists are read at the start."""
        if self.window_s is not None:
            return self.window_s
        return 0.0 if self.redis_url is not None else float(self.ttl_s)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
