"""Latency in an open loop: clicks come at a fixed rate whatever becomes of them, and each is timed from the moment it
was due to its list at a subscriber, so that a stall counts for every click it delays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.measure.clicks import Click
from bench.measure.cluster import PARTITIONS, skip_backlog
from bench.measure.lists import Received, percentiles_ms
from bench.measure.load import Sent
from bench.measure.loop import WARM_UP_S, live, open_loop, warm_up
from bench.measure.systems import Setting, System, last_words, processes
from export.registry.registry import Registry
from stream.kafka.topics import create_topics
from stream.messages.announcements import announce, announcement_for

_AROUND_SWAP_S = 2.0  # at least; from the announcement until a second after the new model's first list
_AFTER_SWAP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One open loop."""

    system: str
    rate: float  # clicks a second
    clicks: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    load_cpu: float  # cores the load took, and the subscriber
    subscriber_cpu: float
    swap_p99_ms: float | None = None  # of the clicks due around the swap
    swap_s: float | None = None  # from the announcement to the new model's first list


def measure_latency(
    system: System,
    setting: Setting,
    clicks: Sequence[Click],
    rates: Sequence[float],
    seconds: float,
    folder: Path,
    *,
    swap: bool,
) -> Iterator[Latency]:
    """One open loop a rate on a system that is warm, then, with `swap`, one in which the model is swapped.

    That one is at 1,000 clicks/s. The registry's newest version is what is swapped in. RuntimeError where a click gets
    no list.
    """
    group = f"bench-latency-{time.time_ns()}"
    create_topics(setting.bootstrap, partitions=PARTITIONS, group=group)
    skip_backlog(setting.bootstrap, group)
    log, source = folder / f"{group}.log", live(clicks)
    try:
        with processes(system.command(setting, group), system.processes, log) as running:
            warm_up(setting.bootstrap, source, running)
            for rate in rates:
                yield _open_loop(system.name, setting, source, rate, seconds, folder, swap=False)
            if swap:
                yield _open_loop(system.name, setting, source, 1_000, seconds, folder, swap=True)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{last_words(log)}") from error


def _open_loop(
    system: str, setting: Setting, source: Iterator[Click], rate: float, seconds: float, folder: Path, *, swap: bool
) -> Latency:
    announced: list[float] = []
    swapping = threading.Timer(WARM_UP_S + seconds / 2, _swap, (setting, announced))
    start = swapping.start if swap else lambda: None
    loop = open_loop(setting.bootstrap, source, rate, seconds, folder, at_start=start)
    sent, took, lists = loop.sent, loop.took, loop.lists
    p50, p95, p99 = percentiles_ms(took)
    swap_p99, swap_s = around_swap(sent, took, lists, announced[0]) if swap else (None, None)
    return Latency(
        system=system,
        rate=rate,
        clicks=len(sent),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        load_cpu=loop.load_cpu,
        subscriber_cpu=loop.subscriber_cpu,
        swap_p99_ms=swap_p99,
        swap_s=swap_s,
    )


def around_swap(sent: Sent, took: np.ndarray, lists: Sequence[Received], announced: float) -> tuple[float, float]:
    """p99 in ms of the clicks due around the swap, and seconds from the announcement to the new model's first list."""
    old = lists[0].answer.model
    new_at = next((list_.at for list_ in lists if list_.answer.model != old), None)
    if new_at is None:
        raise RuntimeError("the new model served no list")
    end = max(announced + _AROUND_SWAP_S, new_at + _AFTER_SWAP_S)
    due = np.array([at for *_, at in sent])
    return percentiles_ms(took[(due >= announced) & (due <= end)])[2], new_at - announced


def _swap(setting: Setting, announced: list[float]) -> None:
    registry = Registry(setting.registry)
    newest = registry.newest()
    assert newest is not None
    registry.promote(newest)
    message = announcement_for(registry, newest)
    announced.append(time.monotonic())
    announce(setting.bootstrap, message)
