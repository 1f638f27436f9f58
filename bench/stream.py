"""Clicks a second and latency of the worker on a real broker, beside a bare loop in the same run.

    python -m bench.stream [--clicks N] [--rate R] [--workers W] [--preset NAME] [--data LOG] [--json]

The same clicks, bundle, broker and number of threads for both. Throughput: a backlog, from the first list to the last.
Latency: an open loop at a fixed rate, from the moment a click was due to its list at a subscriber, so that a stall
counts for every click it delays. Lists a second stand beside clicks a second, since clicks of one session that share
a micro-batch share a list.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from bench.answers import Answers
from bench.bundles import publish_random
from bench.load import Click, Sent, send
from export.registry import Registry
from model.presets import PRESETS
from model.readers import iter_clicks, read_log
from stream.demo.simulator import Shop, ShopConfig, ShopperConfig, Shoppers
from stream.topics import create_topics
from tests.brokers.choose import choose_broker

PARTITIONS = 4
GROUP = "bench"
WARM_UP = 200  # clicks before the latency part that are not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    clicks_per_s: float
    lists_per_s: float
    answered: int
    clicks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    p50_ms: float
    p95_ms: float
    p99_ms: float
    answered: int
    clicks: int


@contextmanager
def processes(command: list[str], count: int, log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `count` of a command, ended with the block; their output goes to `log`."""
    with log.open("ab") as out:
        running = [subprocess.Popen(command, stdout=out, stderr=out) for _ in range(count)]
        try:
            yield running
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(30)


def wait_until_answered(
    answers: Answers, sent: Sent, running: list[subprocess.Popen[bytes]], deadline_s: float
) -> None:
    """Return once every click has a list; a process that ended or a missed deadline raises with what is missing."""
    end = time.monotonic() + deadline_s
    while True:
        missing = int(np.isnan(answers.latencies(sent)).sum())
        if missing == 0:
            return
        if any(process.poll() is not None for process in running):
            raise RuntimeError(f"a process ended with {missing} of {len(sent)} clicks unanswered")
        if time.monotonic() > end:
            raise RuntimeError(f"{missing} of {len(sent)} clicks unanswered after {deadline_s:.0f} s")
        time.sleep(0.5)


def throughput(bootstrap: str, command: list[str], workers: int, sent: Sent, log: Path) -> Throughput:
    """Start the command on the backlog that waits in the topic and time it from its first list to its last."""
    answers = Answers(bootstrap)
    try:
        with processes(command, workers, log) as running:
            wait_until_answered(answers, sent, running, 180)
        seconds = answers.published_within_s()
        return Throughput(
            clicks_per_s=len(sent) / seconds, lists_per_s=answers.lists / seconds, answered=len(sent), clicks=len(sent)
        )
    finally:
        answers.close()


def latency(bootstrap: str, command: list[str], clicks: list[Click], rate: float, log: Path) -> Latency:
    """Send clicks at `rate` a second to a command that is already answering."""
    answers = Answers(bootstrap)
    try:
        with processes(command, 1, log) as running:
            wait_until_answered(answers, send(bootstrap, clicks[:WARM_UP], rate=rate), running, 120)
            measured = send(bootstrap, clicks[WARM_UP:], rate=rate)
            wait_until_answered(answers, measured, running, 60)
            ms = answers.latencies(measured) * 1_000
        p50, p95, p99 = np.percentile(ms, (50, 95, 99))
        return Latency(p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99), answered=len(ms), clicks=len(measured))
    finally:
        answers.close()


def read_clicks(path: Path, limit: int) -> list[Click]:
    """The first `limit` clicks of a log in the order of time."""
    return [(session, item, ts) for session, item, ts, _ in islice(iter_clicks(read_log(path)), limit)]


def simulate_clicks(items: int, limit: int) -> list[Click]:
    """The first `limit` clicks of the simulator's shop in the order of time."""
    shop = Shop(ShopConfig(items=items))
    log = Shoppers(shop, ShopperConfig(sessions_per_s=20)).sessions(limit // 4)
    names = shop.item_ids()
    rows = zip(log.session[:limit].tolist(), log.item[:limit].tolist(), log.ts[:limit].tolist(), strict=True)
    return [(f"s{session}", names[item], ts) for session, item, ts in rows]


def run(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Both loops on one backlog, then the worker at a fixed rate; returns what is printed."""
    measured = max(int(args.rate * args.seconds), 1) + WARM_UP
    clicks = read_clicks(args.data, args.clicks) if args.data else simulate_clicks(args.items, args.clicks)
    live = [(f"live-{session}", item, ts) for session, item, ts in clicks[:measured]]
    registry = args.bundle_registry or folder / "registry"
    store = Registry(str(registry))
    if args.bundle_registry is None:
        items = sorted({item for _, item, _ in clicks})
        items += [f"unclicked-{n}" for n in range(args.items - len(items))]
        publish_random(registry, items, folder, name=args.preset)
    newest = store.newest()
    if newest is None:
        raise SystemExit(f"{registry} holds no bundle")
    bundle = store.fetch(newest)
    with broker(args.bootstrap_servers) as bootstrap:
        create_topics(bootstrap, partitions=PARTITIONS, group=GROUP)
        sent = send(bootstrap, clicks)
        bare_loop = [sys.executable, "-m", "bench.bare_loop", bootstrap, str(bundle)]
        worker = [
            sys.executable,
            "-m",
            "nextclick",
            "worker",
            "--bootstrap-servers",
            bootstrap,
            "--registry",
            str(registry),
            "--group",
            GROUP,
            "--web-port",
            "0",
            "--log-level",
            "warning",
        ]
        bare = throughput(bootstrap, bare_loop, 1, sent, folder / "bare.log")
        ours = throughput(bootstrap, worker, args.workers, sent, folder / "worker.log")
        late = latency(bootstrap, worker, live, args.rate, folder / "worker.log")
    return {
        "clicks_per_s": round(ours.clicks_per_s),
        "lists_per_s": round(ours.lists_per_s),
        "bare_loop_clicks_per_s": round(bare.clicks_per_s),
        "bare_loop_lists_per_s": round(bare.lists_per_s),
        "of_bare_loop": round(ours.clicks_per_s / bare.clicks_per_s, 3),
        "of_bare_loop_lists": round(ours.lists_per_s / bare.lists_per_s, 3),
        "rate": args.rate,
        "p50_ms": round(late.p50_ms, 2),
        "p95_ms": round(late.p95_ms, 2),
        "p99_ms": round(late.p99_ms, 2),
        "clicks": ours.clicks,
        "answered": ours.answered,
        "workers": args.workers,
        "items": store.manifest(newest).items,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
    }


@contextmanager
def broker(bootstrap: str | None) -> Iterator[str]:
    """The cluster asked for, or a real one of the tests' own for the length of the block."""
    if bootstrap:
        yield bootstrap
        return
    choice = choose_broker(os.environ)
    if choice.broker is None or not choice.broker.real:
        raise SystemExit("no real broker to be had: " + "; ".join(choice.missing))
    try:
        yield choice.broker.bootstrap
    finally:
        choice.broker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--data", type=Path, help="click log; left out: the simulator's shop")
    parser.add_argument(
        "--bundle-registry", type=Path, help="registry whose newest bundle is served; left out: untrained TRON"
    )
    parser.add_argument("--preset", choices=PRESETS, default="tron", metavar="NAME", help="model of random weights")
    parser.add_argument("--items", type=int, default=26_000, help="catalogue of the simulated shop")
    parser.add_argument("--clicks", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=1_000, help="clicks a second of the latency part")
    parser.add_argument("--seconds", type=float, default=15, help="length of the latency part")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        result = run(args, Path(folder))
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
