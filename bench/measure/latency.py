"""Latency in an open loop: clicks come at a fixed rate whatever becomes of them, and each is timed from the moment it
was due to its list at a subscriber, so that a stall counts for every click it delays.

Every system has a lane of its own: topics, a registry and a process, all of them started before the first loop, idle
while another one's clicks come. So loops of different systems alternate, and a noisy minute hits them alike.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data.clicks import Click
from bench.measure.cluster import PARTITIONS
from bench.measure.cpu import cpu_of, peak_mb_of
from bench.measure.lists import Received, percentiles_ms
from bench.measure.load import Sent
from bench.measure.loop import WARM_UP_S, Loop, live, open_loop, warm_up
from bench.measure.spans import TraceFile, appended, keep_broker_time, moments, spans_ms
from bench.measure.systems import Setting, System, last_words, processes
from export.registry.registry import Registry
from stream.kafka.topics import create_topics
from stream.messages.announcements import announce, announcement_for
from stream.topic_names import Topics

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
    system_cpu: float = 0.0  # cores the system's processes took
    peak_mb: float = 0.0  # the most memory they had since they began, MB together
    swap_p99_ms: float | None = None  # of the clicks due around the swap
    swap_s: float | None = None  # from the announcement to the new model's first list
    spans: dict[str, dict[str, float]] | None = None  # ms by group of clicks


class Asked(NamedTuple):
    """A system, and the loops it is measured in."""

    system: System
    rates: Sequence[float]
    swap_rate: float | None = None  # of a loop in which the model is swapped
    trace: Path | None = None  # what the system writes, where it is `bench.peers.traced`


class Lane(NamedTuple):
    """A system that runs."""

    asked: Asked
    setting: Setting
    running: Sequence[subprocess.Popen[bytes]]
    trace: TraceFile | None


def measure_latency(
    asked: Sequence[Asked], setting: Setting, clicks: Sequence[Click], seconds: float, repeats: int, folder: Path
) -> Iterator[Latency]:
    """All loops asked for, rate by rate and system by system, `repeats` times, on systems that are warm.

    A swap puts the version of the registry that is not live into service. RuntimeError where a click gets no list.
    """
    source = live(clicks)
    with ExitStack() as stack:
        lanes = [_open_lane(stack, one, setting, folder) for one in asked]
        for lane in lanes:
            warm_up(setting.bootstrap, source, lane.running, topics=lane.setting.topics)
        for repeat in range(repeats):
            turn = repeat % len(lanes)
            for rate in sorted({rate for one in asked for rate in one.rates}):
                for lane in (*lanes[turn:], *lanes[:turn]):
                    if rate in lane.asked.rates:
                        yield _measure(lane, source, rate, seconds, folder, swap=False)
            for lane in lanes:
                if lane.asked.swap_rate is not None:
                    yield _measure(lane, source, lane.asked.swap_rate, seconds, folder, swap=True)


def _open_lane(stack: ExitStack, asked: Asked, setting: Setting, folder: Path) -> Lane:
    """Start a system on topics of its own."""
    name = asked.system.name
    words = {"clicks": "clicks", "recommendations": "lists", "rejected": "rejected", "models": "models"}
    topics = Topics.named({word: f"{name}.{short}" for word, short in words.items()})
    group, registry = f"bench-latency-{name}-{time.time_ns()}", folder / f"registry-{name}"
    shutil.copytree(setting.registry, registry)
    mine = replace(setting, topics=topics, registry=registry)
    create_topics(setting.bootstrap, partitions=PARTITIONS, group=group, topics=topics)
    keep_broker_time(setting.bootstrap, (topics.clicks, topics.recommendations))
    log = folder / f"{group}.log"
    stack.enter_context(_words_of(name, log))
    running = stack.enter_context(processes(asked.system.command(mine, group), asked.system.processes, log))
    return Lane(asked, mine, running, None if asked.trace is None else TraceFile(asked.trace))


@contextmanager
def _words_of(name: str, log: Path) -> Iterator[None]:
    """What a system said last goes with the error that ends the measurement."""
    try:
        yield
    except RuntimeError as error:
        error.add_note(f"{name}: {last_words(log)}")
        raise


def _measure(lane: Lane, source: Iterator[Click], rate: float, seconds: float, folder: Path, *, swap: bool) -> Latency:
    announced: list[float] = []
    swapping = threading.Timer(WARM_UP_S + seconds / 2, _swap, (lane.setting, announced))
    start = swapping.start if swap else lambda: None
    topics, bootstrap = lane.setting.topics, lane.setting.bootstrap
    used, began = cpu_of(lane.running), time.monotonic()
    loop = open_loop(bootstrap, source, rate, seconds, folder, at_start=start, topics=topics)
    cores = (cpu_of(lane.running) - used) / (time.monotonic() - began)
    if swap:
        promote_other(Registry(lane.setting.registry))
    p50, p95, p99 = percentiles_ms(loop.took)
    swap_p99, swap_s = around_swap(loop.sent, loop.took, loop.lists, announced[0]) if swap else (None, None)
    return Latency(
        system=lane.asked.system.name,
        rate=rate,
        clicks=len(loop.sent),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        load_cpu=loop.load_cpu,
        subscriber_cpu=loop.subscriber_cpu,
        system_cpu=cores,
        peak_mb=peak_mb_of(lane.running),
        swap_p99_ms=swap_p99,
        swap_s=swap_s,
        spans=_spans(lane, loop),
    )


def _spans(lane: Lane, loop: Loop) -> dict[str, dict[str, float]]:
    in_kafka = appended(lane.setting.bootstrap, lane.setting.topics.clicks, loop.sent)
    stamps = [] if lane.trace is None else lane.trace.stamps()
    return spans_ms(moments(loop.sent, in_kafka, loop.lists, stamps))


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
    """Announce the other version. That a promotion tries it out before is the work of another machine, not of these
    cores."""
    registry = Registry(setting.registry)
    message = announcement_for(registry, other_version(registry))
    announced.append(time.monotonic())
    announce(setting.bootstrap, message, topic=setting.topics.models)


def other_version(registry: Registry) -> str:
    """The one of the two that is not live."""
    return next(version for version in registry.versions() if version != registry.live())


def promote_other(registry: Registry) -> None:
    """Tell the registry after a loop what was announced in it: the next swap goes the other way."""
    registry.promote(other_version(registry))
