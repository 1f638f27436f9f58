"""Ten times more clicks than a worker can answer, for some seconds: what waits, what is shared, when it is over.

    python -m bench.overload [--seconds N] [--times X] [--preset NAME] [--json]

The worker's capacity is measured first, on a backlog of sessions that click once each, so that no two share a list.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from bench.data.clicks import Click
from bench.endurance.memory import Samples, metric, stop
from bench.measure.bundles import publish_random
from bench.measure.cluster import PARTITIONS, broker
from bench.measure.load import send
from bench.recovery import Worker
from stream.kafka.topics import create_topics

ITEMS = 26_000
SESSIONS = 2_000  # that take part in the burst
EVERY_S = 0.25  # between two looks at the worker


def clicks(count: int, sessions: int, prefix: str) -> list[Click]:
    now = int(time.time() * 1000)
    return [(f"{prefix}{n * 7919 % sessions}", f"item-{n * 31 % ITEMS}", now) for n in range(count)]


def drain(worker: Worker, until: float, deadline_s: float = 240.0) -> dict[str, float]:
    """Wait until the worker has read so many clicks; the most that waited behind it and in it meanwhile."""
    peaks = {"lag": 0.0, "queue": 0.0, "queue_bytes": 0.0}
    end = time.monotonic() + deadline_s
    while (read := metric(worker, "nextclick_clicks_total")) < until:
        if time.monotonic() > end:
            raise RuntimeError(f"{read:.0f} of {until:.0f} clicks read after {deadline_s:.0f} s")
        peaks["lag"] = max(peaks["lag"], metric(worker, "nextclick_lag_clicks"))
        peaks["queue"] = max(peaks["queue"], metric(worker, "nextclick_queue_clicks"))
        peaks["queue_bytes"] = max(peaks["queue_bytes"], metric(worker, "nextclick_queue_bytes"))
        time.sleep(EVERY_S)
    return peaks


def measure(bootstrap: str, worker: Worker, seconds: float, times: float) -> dict[str, object]:
    """The capacity, then the burst."""
    backlog = 20_000
    begun = time.monotonic()
    send(bootstrap, clicks(backlog, backlog, "once-"))  # in a fraction of the time it takes to answer them
    drain(worker, backlog)
    capacity = backlog / (time.monotonic() - begun)
    burst = clicks(int(capacity * times * seconds), SESSIONS, "burst-")
    before = metric(worker, "nextclick_coalesced_total")
    samples = Samples(worker, EVERY_S)
    samples.start()
    begun = time.monotonic()
    send(bootstrap, burst, rate=capacity * times)
    sent_s = time.monotonic() - begun
    peaks = drain(worker, backlog + len(burst))
    return {
        "capacity_clicks_per_s": round(capacity),
        "burst_clicks": len(burst),
        "burst_s": round(sent_s, 1),
        "answered_s": round(time.monotonic() - begun, 1),
        "peak_lag": int(peaks["lag"]),
        "peak_queue_clicks": int(peaks["queue"]),
        "peak_queue_mb": round(peaks["queue_bytes"] / 1e6, 1),
        "coalesced": int(metric(worker, "nextclick_coalesced_total") - before),
        "peak_rss_mb": round(max(samples.stop())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--preset", default="tron", help="model of random weights")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--times", type=float, default=10, help="as many clicks as the worker's capacity")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as name, broker(args.bootstrap_servers) as bootstrap:
        folder = Path(name)
        publish_random(folder / "registry", [f"item-{n}" for n in range(ITEMS)], folder, name=args.preset)
        create_topics(bootstrap, partitions=PARTITIONS, group="overload")
        worker = Worker(bootstrap, folder / "registry", "overload", folder / "worker.log", 10.0)
        try:
            worker.await_partitions(PARTITIONS)
            result = measure(bootstrap, worker, args.seconds, args.times)
        finally:
            stop(worker)
    result |= {"cpus": os.cpu_count(), "machine": platform.machine()}
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
