"""The read API under load: h2load asks for the newest lists of many sessions at a fixed rate, a worker at rest beside.

    python -m bench.serve [--rate R] [--seconds N] [--rounds N] [--sessions N] [--clients N] [--clicks] [--json]

h2load (Debian: nghttp2-client) times each request from its sending to its last byte, and logs it; the figures are of
that log, the first second left out. Broker, worker, server and h2load share the machine. --clicks: beside the reading,
`POST /clicks` of one click at a tenth of the rate, confirmed by the broker, so that the worker is not at rest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray

from bench.measure.bundles import publish_random
from bench.measure.cluster import PARTITIONS, broker
from bench.rig.brokers.process import free_port
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.kafka.clients import build_client, producer_options
from stream.kafka.topics import create_topics
from stream.messages.contract import Recommendation, Source, encode, recommended

GROUP = "serve"
K = 20
BEGIN_S = 1.0  # left out


def send_lists(bootstrap: str, sessions: int) -> None:
    """A list for each session, as a worker would have sent it."""
    producer: Producer = build_client(Producer, producer_options(bootstrap))
    items, now_ms = recommended((f"sku-{n}", 0.123456 * n) for n in range(K)), time.time_ns() // 1_000_000
    for number in range(sessions):
        name = f"s{number}"
        source = Source("clicks", 0, number)
        found = Recommendation(name, items, "1", "default", False, source, now_ms, now_ms)
        producer.produce("recommendations", encode(found), name.encode())
        producer.poll(0)
    if producer.flush(60):
        raise SystemExit("the lists were not confirmed")


def load(port: int, folder: Path, options: argparse.Namespace) -> NDArray[np.float64]:
    """Milliseconds of each request of h2load; SystemExit where one has no list."""
    addresses, log = folder / "addresses", folder / f"log-{time.monotonic_ns()}"
    numbers = np.random.default_rng(0).integers(options.sessions, size=10_000)
    addresses.write_text("".join(f"http://127.0.0.1:{port}/recommendations/s{number}\n" for number in numbers))
    command = ["h2load", "--h1", "-t1", f"-c{options.clients}", f"--rps={options.rate / options.clients:g}"]
    command += [f"-D{options.seconds + BEGIN_S:g}", f"-i{addresses}", f"--log-file={log}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    began_us, status, took_us = np.loadtxt(log, dtype=np.int64, unpack=True)
    if (wrong := int((status != 200).sum())) > 0:
        raise SystemExit(f"{wrong:,} of {len(status):,} requests were not answered by a list")
    return np.asarray(took_us[began_us - began_us.min() >= BEGIN_S * 1e6] / 1000.0)


def post_clicks(port: int, folder: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """h2load sends one click after another, for as long."""
    body = folder / "click.json"
    body.write_text(json.dumps({"session_id": "poster", "item_id": "i1", "ts": time.time_ns() // 1_000_000}))
    command = ["h2load", "--h1", "-t1", "-c4", f"--rps={options.rate / 40:g}", f"-D{options.seconds + BEGIN_S:g}"]
    command += [f"-d{body}", "-H", "Content-Type: application/json", f"http://127.0.0.1:{port}/clicks"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def round_of(port: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One measurement."""
    posting = post_clicks(port, folder, options) if options.clicks else None
    took = load(port, folder, options)
    if posting is not None:
        posting.wait()
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9])
    rate = len(took) / options.seconds
    return {"rate": round(rate), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "p999_ms": round(p999, 2)}


def measure(bootstrap: str, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rounds, with the processes that they need."""
    create_topics(bootstrap, partitions=PARTITIONS, group=GROUP)
    registry = folder / "registry"
    publish_random(registry, [f"i{n}" for n in range(1_000)], folder / "scratch")
    Registry(str(registry)).promote(Registry(str(registry)).versions()[-1])
    send_lists(bootstrap, options.sessions)
    worker = Worker(bootstrap, registry, GROUP, folder / "worker.log")
    port = free_port()
    command = [sys.executable, "-m", "nextclick", "serve", "--bootstrap-servers", bootstrap, "--web-port", str(port)]
    server = Worker.of(command, folder / "serve.log", port)
    try:
        worker.await_ready(PARTITIONS)
        server.await_ready()
        return [round_of(port, folder, options) for _ in range(options.rounds)]
    finally:
        server.stop()
        worker.stop()


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="bench.serve", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=2_000.0, help="requests a second, of all clients")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--clicks", action="store_true", help="send clicks as well")
    parser.add_argument("--bootstrap", help="a broker; else one of the tests' own")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("h2load") is None:
        raise SystemExit("bench.serve needs h2load: apt-get install nghttp2-client")
    with broker(options.bootstrap) as bootstrap, tempfile.TemporaryDirectory() as folder:
        rounds = measure(bootstrap, Path(folder), options)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    result = {"machine": machine, "asked": options.rate, "clients": options.clients, "rounds": rounds}
    for found in rounds:
        print(*(f"{name} {value:,}" for name, value in found.items()), sep="  ")
    if options.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
