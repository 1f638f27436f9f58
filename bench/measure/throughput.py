"""Clicks a second on a backlog, from a system's first list to its last, and what they cost in CPU time.

While a system works nobody subscribes: the ends of the topic are watched, and the lists are read when it is done.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure.cluster import PARTITIONS, TopicEnds
from bench.measure.cpu import CpuSampler
from bench.measure.lists import answered, read_lists
from bench.measure.load import Sent
from bench.measure.systems import Setting, System, last_words, processes
from stream.kafka.topics import create_topics

_LOOK_S = 0.2
_QUIET_S = 2.0  # without a new list: all may be answered
_START_S = 60.0  # for the first list
_DEADLINE_S = 240.0  # for the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """One run. A system that was cut off has answered fewer clicks than were sent."""

    clicks: int  # answered
    lists: int
    seconds: float  # from the first list to the last
    cpu_s: float  # of all the system's processes, in that time

    @property
    def clicks_per_s(self) -> float:
        return self.clicks / self.seconds

    @property
    def lists_per_s(self) -> float:
        return self.lists / self.seconds

    @property
    def clicks_per_cpu_s(self) -> float:
        return self.clicks / self.cpu_s


def measure_throughput(
    system: System, setting: Setting, sent: Sent, folder: Path, *, limit_s: float | None = None
) -> Throughput:
    """Start the system on the backlog in the topic; stop it when every click has a list, or `limit_s` after the first.

    RuntimeError with the system's last words where it ends by itself, or answers nothing more.
    """
    group = f"bench-{system.name}-{time.time_ns()}"
    log = folder / f"{group}.log"
    if system.has_changelog:
        create_topics(setting.bootstrap, partitions=PARTITIONS, group=group)
    ends = TopicEnds(setting.bootstrap, "recommendations")
    start = ends.now()
    try:
        with processes(system.command(setting, group), system.processes, log) as running:
            cpu = CpuSampler([process.pid for process in running])
            try:
                return _watch(setting, ends, start, sent, running, cpu, limit_s)
            finally:
                cpu.close()
    except RuntimeError as error:
        raise RuntimeError(f"{system.name}: {error}\n{last_words(log)}") from error
    finally:
        ends.close()


def _watch(
    setting: Setting,
    ends: TopicEnds,
    start: dict[int, int],
    sent: Sent,
    running: Sequence[subprocess.Popen[bytes]],
    cpu: CpuSampler,
    limit_s: float | None,
) -> Throughput:
    began = grown = time.monotonic()
    first: float | None = None
    before = start
    while True:
        time.sleep(_LOOK_S)
        now, end = time.monotonic(), ends.now()
        if end != before:
            before, grown, first = end, now, first or now
        over = first is not None and limit_s is not None and now - first > limit_s
        if over or (first is not None and now - grown > _QUIET_S):
            result = _result(setting, start, end, sent, cpu)
            if over or result.clicks == len(sent):
                return result
            grown = now
        if any(process.poll() is not None for process in running):
            raise RuntimeError("a process ended by itself")
        if now - began > (_START_S if first is None else _DEADLINE_S):
            raise RuntimeError(f"not done after {now - began:.0f} s")


def _result(setting: Setting, start: dict[int, int], end: dict[int, int], sent: Sent, cpu: CpuSampler) -> Throughput:
    lists = list(read_lists(setting.bootstrap, start, end))
    times = [one.published_ts / 1_000 for one in lists]
    return Throughput(
        clicks=answered(sent, lists),
        lists=len(lists),
        seconds=max(times) - min(times),
        cpu_s=cpu.between(min(times), max(times)),
    )
