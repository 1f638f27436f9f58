"""The stream's speed beside others that do the same work, on a real broker, in one run.

    python -m bench.stream [--repeats N] [--systems NAME ...] [--rates R ...] [--data LOG] [--json]

Same clicks, model, broker and durability of the output for all, one after another. On a backlog: clicks a second, lists
a second beside them (clicks of one session that share a micro-batch share a list), and clicks a CPU-second.

    nextclick      the worker; exactly_once beside it
    bare_loop      consumer, ranker, producer: no durable state
    policies       the worker with a policy (docs/policies.md) and a table of `--table` items; the others have neither
    no_ranking     the worker with a ranker that costs nothing
    quix           Quix Streams, its state store, an inference and a message an event, as its API has it
    quix_batched   the same, ranking in batches in a sink, and publishing past the library
    naive_faust    a plain Faust agent: one Table write, one inference, one send an event

Then latency in open loops, `--repeats` times, of the worker, the bare loop and the worker without ranking in turn: at
several rates, and of the worker at 1,000 clicks/s while the model is swapped, and exactly once. What counts is the
ratio to the bare loop. With `--spans` the worker's batches are stamped on their way, and it is said where the time
goes, of the same clicks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.data.clicks import Click, in_catalogue, read_clicks, simulate_clicks
from bench.data.shop_items import POLICY, load_items
from bench.measure.bundles import publish_random, with_another_item
from bench.measure.cluster import PARTITIONS, broker, ends
from bench.measure.figures import SWAP_RATE, latency_table, spans_tables, summary, systems_table
from bench.measure.latency import Asked, Latency, measure_latency
from bench.measure.load import Sent, send
from bench.measure.systems import Setting, System, nextclick, no_ranking, peer
from bench.measure.throughput import Throughput, measure_throughput
from bench.peers.quix_env import quix_python
from export.bundle.bundle import load_bundle
from export.registry.registry import Registry
from model.presets import PRESETS
from stream.kafka.topics import create_topics

SYSTEMS = ("nextclick", "exactly_once", "policies", "bare_loop", "no_ranking", "quix", "quix_batched", "naive_faust")
DEFAULT = tuple(name for name in SYSTEMS if name != "policies")
EXACTLY_ONCE = ("--guarantee", "exactly-once")
SLOW = ("quix", "quix_batched", "naive_faust")  # stopped after --peer-seconds

progress = Console(stderr=True)


def main() -> None:
    args = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        result = run(args, Path(folder))
    print(json.dumps(result, indent=None if args.json else 2))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--data", type=Path, help="click log; left out: the simulator's shop")
    parser.add_argument("--bundle-registry", type=Path, help="its newest bundle is served; left out: random weights")
    parser.add_argument("--preset", choices=PRESETS, default="tron", metavar="NAME", help="model of random weights")
    parser.add_argument("--items", type=int, default=26_000, help="catalogue, at least")
    parser.add_argument("--clicks", type=int, default=150_000, help="backlog")
    parser.add_argument("--table", type=int, default=1_000_000, help="items on their topic, for policies")
    parser.add_argument("--workers", type=int, default=1, help="processes of every system, but for no_ranking")
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(DEFAULT), metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each system, in turn")
    parser.add_argument("--peer-seconds", type=float, default=15, help="after which a slow peer is stopped")
    parser.add_argument("--quix-python", type=Path, help="interpreter with quixstreams; left out: one is made")
    parser.add_argument("--rates", nargs="*", type=float, default=[500, 1_000, 2_000, 5_000], metavar="R")
    parser.add_argument("--seconds", type=float, default=10, help="length of each open loop")
    parser.add_argument("--spans", action="store_true", help="say where the time of the clicks goes")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure all that was asked for; returns what is printed."""
    clicks = read_clicks(args.data, args.clicks) if args.data else simulate_clicks(args.items, args.clicks)
    registry, version = prepare_registry(args, clicks, folder)
    systems, left_out = choose(args, folder)
    with broker(args.bootstrap_servers) as bootstrap:
        setting = Setting(
            bootstrap=bootstrap, registry=registry, bundle=Registry(registry).fetch(version), folder=folder
        )
        create_topics(bootstrap, partitions=PARTITIONS, group="bench")
        if any(ends(bootstrap, "clicks").values()):
            raise SystemExit(f"the topic clicks at {bootstrap} holds clicks already, which would be counted, too")
        table = fill_table(args, bootstrap, registry, version)
        sent = send(bootstrap, clicks)
        runs = measure_all(systems, setting, sent, args, folder)
        latencies = open_loops(setting, clicks, args, folder)
    return {
        **summary(runs, latencies),
        "left_out": left_out,
        "table": table,
        "backlog": len(clicks),
        "sessions": len({session for session, _, _ in clicks}),
        "items": Registry(registry).manifest(version).items,
        "workers": args.workers,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
    }


def prepare_registry(args: argparse.Namespace, clicks: Sequence[Click], folder: Path) -> tuple[Path, str]:
    """A registry of this run's own with two versions, the first of them live; and that one's name."""
    registry = folder / "registry"
    if args.bundle_registry is None:
        publish_random(registry, in_catalogue(list(clicks), args.items), folder / "first", name=args.preset)
    store = Registry(registry)
    store.create()
    given = Registry(args.bundle_registry or registry)
    newest = given.newest()
    if newest is None:
        raise SystemExit(f"{args.bundle_registry} holds no bundle")
    bundle = given.fetch(newest)
    live = newest if args.bundle_registry is None else store.publish(bundle)
    store.publish(with_another_item(bundle, folder / "another"))  # what the swap puts into service
    store.promote(live)
    return registry, live


def fill_table(args: argparse.Namespace, bootstrap: str, registry: Path, version: str) -> int:
    """Put the items on their topic where a system looks at them: those of the model, and more."""
    if "policies" not in args.systems:
        return 0
    names = list(load_bundle(Registry(registry).fetch(version)).vocabulary.items)
    names += [f"more-{number}" for number in range(args.table - len(names))]
    return load_items(bootstrap, names[: max(args.table, 1)])


def with_policy(folder: Path) -> tuple[str, ...]:
    """The options of a worker that has a policy."""
    policy = folder / "lists.toml"
    policy.write_text(POLICY)
    return "--policy", str(policy)


def choose(args: argparse.Namespace, folder: Path) -> tuple[list[System], dict[str, str]]:
    """The systems to run, and why others that were asked for are left out."""
    systems: dict[str, Callable[[], System]] = {
        "nextclick": lambda: nextclick(workers=args.workers),
        "exactly_once": lambda: nextclick("exactly_once", workers=args.workers, options=EXACTLY_ONCE),
        "policies": lambda: nextclick("policies", workers=args.workers, options=with_policy(folder), items=True),
        "bare_loop": lambda: peer("bare_loop", workers=args.workers),
        "no_ranking": no_ranking,
        "quix": lambda: peer("quix", "quix_app", workers=args.workers, python=quix()),
        "quix_batched": lambda: peer(
            "quix_batched", "quix_app", workers=args.workers, python=quix(), options=("--batched",)
        ),
        "naive_faust": lambda: peer("naive_faust", "faust_app", workers=args.workers),
    }

    def quix() -> Path:
        given: Path | None = args.quix_python
        return given or quix_python()

    made: list[System] = []
    left_out: dict[str, str] = {}
    for name in args.systems:
        try:
            made.append(systems[name]())
        except subprocess.CalledProcessError as error:
            left_out[name] = f"its environment could not be made: {error}"
            progress.print(f"{name} is left out: {left_out[name]}")
    return made, left_out


def measure_all(
    systems: Sequence[System], setting: Setting, sent: Sent, args: argparse.Namespace, folder: Path
) -> dict[str, list[Throughput]]:
    """Every system in turn, `--repeats` times, so that a noisy minute does not hit one of them only."""
    runs: dict[str, list[Throughput]] = defaultdict(list)
    for repeat in range(args.repeats):
        for system in systems:
            limit_s = args.peer_seconds if system.name in SLOW else None
            one = measure_throughput(system, setting, sent, folder, limit_s=limit_s)
            runs[system.name].append(one)
            progress.print(
                f"{repeat + 1}. {system.name}: {one.clicks_per_s:,.0f} clicks/s, {one.lists_per_s:,.0f} lists/s"
            )
    if runs:
        progress.print(systems_table(runs))
    return runs


def open_loops(setting: Setting, clicks: Sequence[Click], args: argparse.Namespace, folder: Path) -> list[Latency]:
    """Latency of one process of each system at each of the rates, around a swap, and exactly once; nothing without
    rates."""
    if not args.rates:
        return []
    rates = sorted({*args.rates, SWAP_RATE})
    asked = [
        worker("nextclick", args, folder, rates, swap_rate=SWAP_RATE),
        Asked(peer("bare_loop"), rates),
        Asked(no_ranking(), rates),
    ]
    if "exactly_once" in args.systems:
        asked.append(worker("exactly_once", args, folder, [SWAP_RATE], options=EXACTLY_ONCE))
    if "policies" in args.systems:
        asked.append(worker("policies", args, folder, [SWAP_RATE], options=with_policy(folder), items=True))
    measured: list[Latency] = []
    for one in measure_latency(asked, setting, clicks, args.seconds, args.repeats, folder):
        measured.append(one)
        progress.print(f"{one.system} at {one.rate:,.0f}/s: p50 {one.p50_ms:.1f}, p99 {one.p99_ms:.1f} ms")
    progress.print(latency_table(measured))
    if args.spans:
        for table in spans_tables(measured):
            progress.print(table)
    return measured


def worker(
    name: str,
    args: argparse.Namespace,
    folder: Path,
    rates: Sequence[float],
    *,
    swap_rate: float | None = None,
    options: Sequence[str] = (),
    items: bool = False,
) -> Asked:
    """The open loops of a worker, which is stamped on its way where spans are asked for."""
    trace = folder / f"trace-{name}" if args.spans else None
    program = ("-m", "nextclick") if trace is None else ("-m", "bench.peers.traced", str(trace))
    return Asked(nextclick(name, options=options, items=items, program=program), rates, swap_rate, trace)


if __name__ == "__main__":
    main()
