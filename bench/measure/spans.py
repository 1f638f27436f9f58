"""Where the time of a click goes, click by click: the differences between the moments at which it was somewhere.

Of every system it is known when a click was due, when the broker had it, when it had the list (both topics keep the
broker's time, in whole ms), and when a subscriber had that. In between, `bench.peers.traced` says it of the worker.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from numpy.typing import NDArray

from bench.measure.lists import Received, first_lists
from bench.measure.load import Sent
from stream.kafka.clients import consumer_options

# A stage, and the name of the span that ends with it
STAGES = {
    "in_kafka": "to the broker",  # from due
    "fetched": "fetch",  # taken from the fetcher, in the consumer's thread
    "taken": "hand-over",  # in the partition's line, on the event loop
    "begun": "line",  # in a batch
    "folded": "decode, fold",
    "ranking": "rank queue",
    "ranked": "rank",
    "resumed": "back to the loop",
    "published": "publish",  # with librdkafka
    "listed": "broker",  # the list is in Kafka
    "received": "subscriber",
}
_BORDERS = (0.0, 0.25, 0.75, 0.99, 1.0)  # of the clicks by their time; those between two of them are one group
GROUPS = ("fastest 25 %", "middle 50 %", "up to 99 %", "slowest 1 %")
_READ_S = 20.0
_HALF_MS = 0.0005  # the broker's clock is cut to whole ms

Moments = Mapping[str, NDArray[np.float64]]  # stage to (N,) time.monotonic() in s; NaN where it is not known


class Stamp(NamedTuple):
    """The clicks of a partition up to an offset had come to a stage."""

    stage: str
    partition: int
    offset: int
    at: float  # time.monotonic() (s)

    def line(self) -> bytes:
        return b"%s %d %d %.6f\n" % (self.stage.encode(), self.partition, self.offset, self.at)

    @classmethod
    def parse(cls, line: bytes) -> Stamp:
        stage, partition, offset, at = line.split()
        return cls(stage.decode(), int(partition), int(offset), float(at))


class TraceFile:
    """What a traced worker writes, from where it was read last."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def stamps(self) -> list[Stamp]:
        """The new ones."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [Stamp.parse(line) for line in whole.splitlines()]


def keep_broker_time(bootstrap: str, topics: Iterable[str]) -> None:
    """Have records of these topics carry the time at which the broker had them, in place of their sender's."""
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry]) for name in topics]
    client = AdminClient({"bootstrap.servers": bootstrap})
    for done in client.incremental_alter_configs(resources).values():
        done.result(_READ_S)


def monotonic(timestamp_ms: int) -> float:
    """A broker's time as time.monotonic() of this machine (s)."""
    return timestamp_ms / 1_000 + _HALF_MS - (time.time() - time.monotonic())


def appended(bootstrap: str, topic: str, sent: Sent) -> NDArray[np.float64]:
    """float64 (N,) s: when the broker had each of the clicks, by time.monotonic()."""
    first, last = dict[int, int](), dict[int, int]()
    for _, partition, offset, _ in sent:
        first[partition] = min(first.get(partition, offset), offset)
        last[partition] = max(last.get(partition, offset), offset)
    consumer = Consumer(consumer_options(bootstrap, group="bench-appended"))
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in first.items()])
    at, left, deadline = dict[tuple[int, int], float](), set(first), time.monotonic() + _READ_S
    while left and time.monotonic() < deadline:
        for message in consumer.consume(1_000, 0.2):
            number, offset = message.partition() or 0, message.offset() or 0
            if message.error() is None:
                at[number, offset] = monotonic(message.timestamp()[1])
                left -= {number} if offset >= last[number] else set()
    consumer.close()
    return np.array([at.get((partition, offset), np.nan) for _, partition, offset, _ in sent])


def moments(sent: Sent, in_kafka: NDArray[np.float64], lists: Sequence[Received], stamps: Iterable[Stamp]) -> Moments:
    """When each of N clicks came to the stages that are known, in the order of STAGES, after `due`."""
    answers = first_lists(sent, lists)
    found = {
        "due": np.array([due for *_, due in sent]),
        "in_kafka": in_kafka,
        **_stamped(sent, stamps),
        "listed": np.array([np.nan if one is None else one.appended for one in answers]),
        "received": np.array([np.nan if one is None else one.at for one in answers]),
    }
    return {stage: found[stage] for stage in ("due", *STAGES) if stage in found}


def _stamped(sent: Sent, stamps: Iterable[Stamp]) -> dict[str, NDArray[np.float64]]:
    """By stage the first stamp of each click's partition that covers its offset."""
    of: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for stamp in stamps:
        of.setdefault((stamp.stage, stamp.partition), []).append((stamp.offset, stamp.at))
    partitions, offsets = (np.array(column) for column in list(zip(*sent, strict=True))[1:3])
    found: dict[str, NDArray[np.float64]] = {}
    for (stage, partition), ends in of.items():
        if stage not in STAGES:
            continue
        at = found.setdefault(stage, np.full(len(sent), np.nan))
        reached, times = np.maximum.accumulate([end for end, _ in ends]), np.array([time for _, time in ends])
        mine = np.flatnonzero(partitions == partition)
        places = np.searchsorted(reached, offsets[mine])
        inside = places < len(reached)
        at[mine[inside]] = times[places[inside]]
    return found


def spans_ms(when: Moments) -> dict[str, dict[str, float]]:
    """Mean ms of each span and their sum by group of clicks: `GROUPS` of the time from due to list, each of the same
    clicks. Clicks of which a moment is missing are left out; empty without any."""
    names = list(when)
    table = np.stack([when[name] for name in names])  # (S, N)
    table = table[:, ~np.isnan(table).any(axis=0)]
    took = table[-1] - table[0]
    order = np.argsort(took)
    out: dict[str, dict[str, float]] = {}
    for number, group in enumerate(GROUPS if len(took) else ()):
        first, end = (int(len(took) * border) for border in _BORDERS[number : number + 2])
        inside = order[first : max(end, first + 1)]
        steps = np.diff(table[:, inside], axis=0).mean(axis=1) * 1_000  # (S - 1,)
        out[group] = {_span(names, place): round(float(step), 2) for place, step in enumerate(steps, 1)}
        out[group]["due to list"] = round(float(took[inside].mean()) * 1_000, 2)
    return out


def _span(names: Sequence[str], place: int) -> str:
    """A span over stages that are not known is called after what it is of every system."""
    return "answer" if names[place] == "listed" and names[place - 1] == "in_kafka" else STAGES[names[place]]
