"""Sending a click log as live clicks, open loop: the rate does not wait for the answers."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import msgspec

from export.errors import ConfigError
from stream.kafka.sender import Sender
from stream.messages.contract import Click, ClickType, encode

__all__ = ["LoggedClick", "ReplayReport", "replay"]

LoggedClick = tuple[str, str, int, ClickType]  # session id, item id, ts in ms, type; in the order of ts
_PROGRESS_S = 1.0  # between two calls of on_progress
_SLOWEST = 1e-6  # clicks a second: a longer wait no system clock takes
_LOOK_EVERY = 256  # clicks between two looks at the clock, where there is no rate


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent."""

    sent: int  # clicks that the broker confirmed
    seconds: float
    clicks_per_s: float
    late_ms: float  # how far the sender fell behind its rate at the worst; 0 where there was no rate


def replay(
    clicks: Iterable[LoggedClick],
    *,
    bootstrap_servers: str,
    topic: str = "clicks",
    rate: float | None = None,
    limit: int | None = None,
    now: bool = False,
    extra: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    on_progress: Callable[[int], None] | None = None,
) -> ReplayReport:
    """Send `clicks` and return once the broker has confirmed all of them.

    rate: clicks a second, None for as fast as possible. now: replace each ts by the time of sending.
    BrokerUnavailable after `timeout_s` without an answer; PublishFailed where a click was not confirmed.
    """
    if rate is not None and not _SLOWEST <= rate < math.inf:
        raise ConfigError(f"the rate must be {_SLOWEST:g} clicks a second or more and finite, not {rate}")
    if limit is not None and limit < 0:
        raise ConfigError(f"the limit must not be negative, is {limit}")
    sender = Sender(bootstrap_servers, topic, extra, what="clicks", timeout_s=timeout_s, must_exist=False)
    begun = time.perf_counter()
    late = 0.0
    noticed = begun
    for number, (session_id, item_id, ts, kind) in enumerate(islice(clicks, limit)):
        if rate is not None:
            late = max(late, _await(begun + number / rate))
        click = Click(session_id, item_id, time.time_ns() // 1_000_000 if now else ts, kind)
        sender.send(session_id.encode(), encode(click))
        if number % _LOOK_EVERY == 0 or rate is not None:
            sender.poll()
            if on_progress is not None and time.perf_counter() - noticed >= _PROGRESS_S:
                noticed = time.perf_counter()
                on_progress(sender.sent)
    sender.finish()
    seconds = time.perf_counter() - begun
    return ReplayReport(
        sent=sender.sent, seconds=seconds, clicks_per_s=sender.sent / max(seconds, 1e-9), late_ms=late * 1000
    )


def _await(due: float) -> float:
    """Sleep until `due` (perf_counter seconds); the seconds by which it had passed already."""
    ahead = due - time.perf_counter()
    if ahead > 0:
        time.sleep(ahead)
        return 0.0
    return -ahead
