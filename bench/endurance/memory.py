"""Whether a worker's memory stays flat: ever new sessions that expire, then a backlog of huge messages.

    python -m bench.endurance.memory [--seconds N] [--rate R] [--huge-mb M] [--json]

First a day in miniature: at a constant rate every session clicks CLICKS times and never again, and is forgotten after
a time-out of seconds. Resident memory, sampled each second, must not grow in the second half. It may by half of what
the sessions begun in that time would have taken, had none been forgotten, and by the few MB that an allocator takes
and gives: the default length tells the one from the other. Then M megabytes of messages of 64 KB, and of 900 KB that
are rejected, wait for a worker at its start: its peak tells what they cost.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray

from bench.measure.bundles import publish_random
from bench.measure.cluster import broker
from bench.measure.load import make_producer
from bench.recovery import Worker
from stream.kafka.topics import create_topics
from stream.messages.contract import encode

ITEMS = 1_000
PARTITIONS = 4
CLICKS = 6  # of a session
TIMEOUT_S, GRACE_S = 6.0, 3.0
SESSION_BYTES = 400  # in memory, all told (bench.recovery)
NOISE_MB = 3.0  # that an allocator takes and gives


class Load(threading.Thread):
    """Clicks of ever new sessions at a constant rate, until stopped."""

    def __init__(self, bootstrap: str, rate: float) -> None:
        super().__init__(daemon=True)
        self._producer, self._rate, self._ended = make_producer(bootstrap), rate, threading.Event()
        self.clicks = 0

    def run(self) -> None:
        begun = time.perf_counter()
        while not self._ended.wait(0.01):
            due = int((time.perf_counter() - begun) * self._rate)
            for number in range(self.clicks, due):
                session = f"session-{number // CLICKS:09d}"
                click = {"session_id": session, "item_id": f"item-{number % ITEMS}", "ts": int(time.time() * 1000)}
                self._producer.produce("clicks", encode(click), session.encode())
            self.clicks = due
            self._producer.poll(0)

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self._producer.flush(30)


class Samples(threading.Thread):
    """Resident memory of a worker (MB)."""

    def __init__(self, worker: Worker, every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self._worker, self._every_s, self._ended = worker, every_s, threading.Event()
        self.rss_mb: list[float] = []

    def run(self) -> None:
        while not self._ended.wait(self._every_s):
            self.rss_mb.append(self._worker.rss_bytes() / 1e6)

    def stop(self) -> list[float]:
        self._ended.set()
        self.join()
        return self.rss_mb


def metric(worker: Worker, name: str) -> float:
    """A figure from /metrics, summed over its labels."""
    with urllib.request.urlopen(f"{worker.address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def new_sessions(bootstrap: str, worker: Worker, seconds: float, rate: float) -> dict[str, object]:
    """The day in miniature."""
    load, samples = Load(bootstrap, rate), Samples(worker)
    load.start()
    samples.start()
    time.sleep(seconds)
    sessions, expired = metric(worker, "nextclick_sessions"), metric(worker, "nextclick_sessions_expired_total")
    state_mb = metric(worker, "nextclick_state_bytes") / 1e6
    rss = np.array(samples.stop())
    load.stop()
    grown, limit = growth_mb(rss), NOISE_MB + rate / CLICKS * seconds / 2 * SESSION_BYTES / 2e6
    return {
        "seconds": seconds,
        "clicks": load.clicks,
        "sessions_live": int(sessions),
        "sessions_expired": int(expired),
        "state_mb": round(state_mb, 2),
        "rss_mb": [round(value) for value in rss[:: max(len(rss) // 30, 1)].tolist()],
        "grown_mb": round(grown, 1),
        "grown_mb_allowed": round(limit, 1),
        "flat": grown <= limit,
    }


def growth_mb(rss: NDArray[np.float64]) -> float:
    """By how much memory (MB) grew in the second half: a line through it, first to last sample."""
    settled = rss[len(rss) // 2 :]
    return float(np.polyfit(np.arange(len(settled)), settled, 1)[0]) * (len(settled) - 1)


def send_huge(bootstrap: str, megabytes: int) -> int:
    """Half of it as clicks of almost 64 KB, half as messages of 900 KB that no click may have; how many."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 0})
    sent = 0
    for size in (64_000, 900_000):
        for number in range(megabytes * 500_000 // size):
            click = {"session_id": f"huge-{number}", "item_id": "item-1", "ts": int(time.time() * 1000)}
            value = encode(click | {"context": {"x": "y" * (size - 200)}})
            while True:
                try:
                    producer.produce("clicks", value, f"huge-{number}".encode())
                    break
                except BufferError:
                    producer.poll(0.1)
            sent += 1
    producer.flush(120)
    return sent


def huge_messages(worker: Worker, messages: int) -> dict[str, object]:
    """What a backlog of huge messages costs the worker that starts on it."""
    samples = Samples(worker, every_s=0.05)
    queued = 0.0
    samples.start()
    end = time.monotonic() + 120
    while (read := metric(worker, "nextclick_clicks_total")) < messages:
        queued = max(queued, metric(worker, "nextclick_queue_bytes"))
        if time.monotonic() > end:
            raise RuntimeError(f"{read:.0f} of {messages} messages read after 120 s")
        time.sleep(0.05)
    rss = samples.stop()
    return {"messages": messages, "peak_rss_mb": round(max(rss)), "peak_queue_mb": round(queued / 1e6, 1)}


def start(bootstrap: str, registry: Path, folder: Path, name: str) -> Worker:
    worker = Worker(
        bootstrap,
        registry,
        "memory",
        folder / f"{name}.log",
        6.0,
        *("--session-timeout-minutes", str(TIMEOUT_S / 60), "--session-grace-minutes", str(GRACE_S / 60)),
    )
    worker.await_partitions(PARTITIONS)
    return worker


def stop(worker: Worker) -> None:
    worker.process.terminate()
    try:
        worker.process.wait(40)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rate", type=float, default=2_000, help="clicks a second")
    parser.add_argument("--huge-mb", type=int, default=400, help="megabytes of huge messages; 0: none")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as name, broker(args.bootstrap_servers) as bootstrap:
        folder = Path(name)
        registry = folder / "registry"
        publish_random(registry, [f"item-{number}" for number in range(ITEMS)], folder)
        create_topics(bootstrap, partitions=PARTITIONS, group="memory")
        worker = start(bootstrap, registry, folder, "first")
        try:
            result: dict[str, object] = {"new_sessions": new_sessions(bootstrap, worker, args.seconds, args.rate)}
            stop(worker)
            if args.huge_mb:
                messages = send_huge(bootstrap, args.huge_mb)
                worker = start(bootstrap, registry, folder, "second")
                result["huge_messages"] = huge_messages(worker, messages)
        finally:
            stop(worker)
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))
    if reason := finding(result["new_sessions"]):  # type: ignore[arg-type]
        sys.exit(reason)


def finding(sessions: dict[str, Any]) -> str | None:
    """What is wrong, if anything."""
    if not sessions["flat"]:
        return "memory grows"
    begun_a_second = sessions["clicks"] / sessions["seconds"] / CLICKS
    if sessions["sessions_live"] > 2 * begun_a_second * (TIMEOUT_S + GRACE_S):  # they go up to a quarter late
        return "sessions that ended are not forgotten"
    return None


if __name__ == "__main__":
    main()
