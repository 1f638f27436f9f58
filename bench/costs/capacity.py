"""How many cores, how much memory and how many partitions a load takes: a table, of what is measured here and now.

    python -m bench.costs.capacity [--catalogues N ...] [--rates R ...] [--clicks N] [--sessions N] [--json]

Of each catalogue a worker of one thread and TRON's sizes (random weights are as fast) answers a backlog: clicks a
CPU-second, its peak memory. Then a worker reads N sessions back: memory a session. The table follows (`needs`):

    cores       clicks/s by clicks a CPU-second, at BUSY of a core, so that a worker that comes back can catch up
    workers     a core each
    sessions    those that are remembered: of CLICKS clicks each, until TIMEOUT_S after the last
    memory      of each worker: its peak, and its share of the sessions, times MARGIN
    partitions  twice the workers, so that there may be twice as many; a power of two, PARTITIONS at least

Of the workers only: the broker, the trainer, and an experiment, whose versions all rank, come on top. Measure on a
machine at rest: on one that others kept busy a CPU-second answered half as many clicks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.endurance.memory import metric
from bench.measure.bundles import publish_random
from bench.measure.cluster import broker
from bench.measure.cpu import cpu_of, peak_mb_of
from bench.measure.load import encode_click, make_producer
from bench.recovery import Worker, fill
from stream.kafka.topics import create_topics
from stream.topic_names import Topics

BUSY, MARGIN = 0.6, 1.3
CLICKS, TIMEOUT_S = 6, 1800.0  # of a session, as in the published logs; a worker's default
PARTITIONS = 4  # at least, and of the measurement
_DEADLINE_S = 120.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a worker of one catalogue."""

    items: int
    clicks_per_cpu_s: float
    peak_mb: float  # MB are 10^6 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Of one load."""

    clicks_per_s: int
    items: int
    sessions: int
    cores: float
    workers: int
    worker_mb: int
    partitions: int


def needs(rate: int, cost: Cost, session_bytes: float) -> Needs:
    """What `rate` clicks a second take, by the rules above."""
    cores = rate / cost.clicks_per_cpu_s / BUSY
    workers = max(math.ceil(cores), 1)
    sessions = round(rate / CLICKS * TIMEOUT_S)
    memory = (cost.peak_mb + sessions / workers * session_bytes / 1e6) * MARGIN
    partitions = max(2 ** math.ceil(math.log2(2 * workers)), PARTITIONS)
    return Needs(
        clicks_per_s=rate,
        items=cost.items,
        sessions=sessions,
        cores=round(cores, 1),
        workers=workers,
        worker_mb=math.ceil(memory / 10) * 10,
        partitions=partitions,
    )


def measure_cost(bootstrap: str, items: int, clicks: int, folder: Path) -> Cost:
    """Answer a backlog with a worker of its own, on topics of its own."""
    names = Topics.named(prefix=f"capacity-{items}.")
    create_topics(bootstrap, partitions=PARTITIONS, group="workers", topics=names)
    publish_random(folder / "registry", [f"item-{number}" for number in range(items)], folder / "scratch")
    _backlog(bootstrap, names.clicks, items, clicks)
    with _working(bootstrap, names, folder) as worker:
        first = _answered(worker, 1)
        began, used = first, cpu_of([worker.process])
        done = _answered(worker, clicks)
        return Cost(
            items=items,
            clicks_per_cpu_s=round((done - began) / (cpu_of([worker.process]) - used)),
            peak_mb=peak_mb_of([worker.process]),
        )


def measure_session(bootstrap: str, sessions: int, folder: Path) -> float:
    """Bytes of memory a session: a worker that has read so many back, beside one that has none."""
    publish_random(folder / "registry", [f"item-{number}" for number in range(1_000)], folder / "scratch")
    taken = []
    for count in (0, sessions):
        names = Topics.named(prefix=f"capacity-sessions-{count}.")
        create_topics(bootstrap, partitions=PARTITIONS, group="workers", topics=names)
        if count:
            fill(bootstrap, names.changelog("workers"), count)
        with _working(bootstrap, names, folder) as worker:
            worker.await_partitions(PARTITIONS, _DEADLINE_S)
            time.sleep(1)
            taken.append(worker.rss_bytes())
    return (taken[1] - taken[0]) / sessions


def _backlog(bootstrap: str, topic: str, items: int, clicks: int) -> None:
    producer, now = make_producer(bootstrap), int(time.time() * 1000)
    sessions = max(clicks // CLICKS, 1)
    for number in range(clicks):
        key, value = encode_click((f"s-{number % sessions}", f"item-{number * 7919 % items}", now))
        producer.produce(topic, value, key)
    if producer.flush(60):
        raise RuntimeError("the broker did not take the backlog")


@contextlib.contextmanager
def _working(bootstrap: str, names: Topics, folder: Path) -> Iterator[Worker]:
    """A worker until the block ends."""
    log, prefix = folder / f"{names.prefix}log", ("--topic-prefix", names.prefix)
    worker = Worker(bootstrap, folder / "registry", "workers", log, 45.0, *prefix)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


def _answered(worker: Worker, wanted: int) -> float:
    """How many clicks the worker has answered, once they are `wanted` at least."""
    end, found = time.monotonic() + _DEADLINE_S, 0.0
    while found < wanted:
        if time.monotonic() > end:
            raise RuntimeError(f"{found:.0f} of {wanted} clicks were answered within {_DEADLINE_S:.0f} s")
        time.sleep(_LOOK_S)
        with contextlib.suppress(OSError):  # it starts: nobody listens there yet
            found = metric(worker, "nextclick_clicks_total")
    return found


def table(found: list[Needs]) -> Iterator[str]:
    """As Markdown."""
    yield "| clicks/s | items | sessions | cores | workers | memory of each | partitions |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for one in found:
        yield (
            f"| {one.clicks_per_s:,} | {one.items:,} | {one.sessions:,} | {one.cores} | {one.workers} "
            f"| {one.worker_mb:,} MB | {one.partitions} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogues", type=int, nargs="+", default=[1_000, 26_000, 100_000], help="items")
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 1_000, 10_000], help="clicks/s")
    parser.add_argument("--clicks", type=int, default=60_000, help="of a backlog")
    parser.add_argument("--sessions", type=int, default=200_000, help="that are read back")
    parser.add_argument("--bootstrap-servers", help="a cluster that runs; without it, one of the tests' own")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    args = parser.parse_args()
    with broker(args.bootstrap_servers) as bootstrap, tempfile.TemporaryDirectory() as name:
        costs = []
        for items in args.catalogues:
            cost = measure_cost(bootstrap, items, args.clicks, _made(name, items))
            _say(f"{items:,} items: {cost.clicks_per_cpu_s:,.0f} clicks a CPU-second, peak {cost.peak_mb:.0f} MB")
            costs.append(cost)
        session_bytes = measure_session(bootstrap, args.sessions, _made(name, "sessions"))
        _say(f"a session: {session_bytes:.0f} bytes")
    found = [needs(rate, cost, session_bytes) for cost in costs for rate in args.rates]
    if args.json:
        told = {"machine": platform.machine(), "session_bytes": round(session_bytes)}
        print(json.dumps(told | {"costs": list(map(asdict, costs)), "needs": list(map(asdict, found))}))
        return
    print(*table(found), sep="\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _made(folder: str, name: object) -> Path:
    made = Path(folder, str(name))
    made.mkdir()
    return made


if __name__ == "__main__":
    main()
