"""What a trainer beside it costs a worker: latency in an open loop, alone and while a cycle runs on the same cores.

    python -m bench.costs.polite [--rate R] [--seconds N] [--rounds N] [--preset NAME] [--threads N] [--nice N] [--json]

`nextclick trainer --once` learns a simulated shop from the topic, a worker serves that version, and then in turn: the
worker alone, the worker beside `nextclick trainer`, which runs one cycle after another, alone again. Load, broker and
subscriber are on the machine as well, and all see the same clicks, which the trainer stores, too. Each click is timed
from the moment it was due to its list at a subscriber. Those due while a cycle runs count as beside it, by its step;
those due around the swap to a version that it published are a figure of their own. `alone_spread` says how far the
loops alone differ among themselves: above 1.3 the machine had other work, and the ratios say little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bench.data.clicks import Click, simulate_clicks
from bench.measure.cluster import PARTITIONS, broker, skip_backlog
from bench.measure.lists import percentiles_ms
from bench.measure.load import send
from bench.measure.loop import Loop, live, open_loop, warm_up
from bench.measure.systems import Setting, last_words, nextclick, processes
from bench.measure.watch import Moment, Watch, step_of, steps_at
from bench.rig.brokers.process import free_port, wait_for
from bench.rig.workers import Worker, cli
from export.registry.registry import Registry
from model.presets import PRESETS
from stream.kafka.topics import create_topics

GROUP = "polite"
ONCE_S = 540.0  # for the first version
CYCLE_S = 120.0  # until a trainer has begun a cycle
BEFORE_SWAP_S = 3.0  # a version is loaded before its first list
AFTER_SWAP_S = 1.0
STEADY = 1.3  # spread of the loops alone, above which their ratio to others says little
LEAST = 1_000  # clicks of a step, below which a p99 says nothing
EASY = (
    "--tolerance",
    "1",
    "--slack",
    "1",
    "--min-coverage",
    "0",
    "--max-fallback",
    "1",
)  # what is published is no matter

progress = Console(stderr=True)


@dataclass(kw_only=True)
class Took:
    """Seconds from due to list, of the clicks of all rounds."""

    alone: list[NDArray[np.float64]] = field(default_factory=list)
    beside: list[NDArray[np.float64]] = field(default_factory=list)
    swaps: list[NDArray[np.float64]] = field(default_factory=list)
    steps: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, loop: Loop, moments: Sequence[Moment]) -> None:
        """One loop beside a trainer."""
        due = np.array([at for *_, at in loop.sent])  # (N,)
        step = np.array(steps_at(due, moments))  # (N,)
        around = around_swaps(due, loop)
        counts = (step != "") & ~around
        self.beside.append(loop.took[counts])
        self.swaps.append(loop.took[around])
        for name in sorted(set(step[counts].tolist())):
            self.steps.setdefault(name, []).append(loop.took[counts & (step == name)])


def around_swaps(due: NDArray[np.float64], loop: Loop) -> NDArray[np.bool_]:
    """bool (N,): the clicks that were due around the first list of another version than the one before."""
    found = np.zeros(len(due), np.bool_)
    lists = sorted(loop.lists, key=lambda one: one.at)
    for before, after in pairwise(lists):
        if int(after.answer.model) > int(before.answer.model):
            found |= (due >= after.at - BEFORE_SWAP_S) & (due <= after.at + AFTER_SWAP_S)
    return found


def summary(took: Took) -> dict[str, Any]:
    """p50 and p99 of both, their ratios, and each step's p99 beside the one alone."""
    alone, beside = np.concatenate(took.alone), np.concatenate(took.beside)
    if not len(beside):
        raise RuntimeError("no cycle ran beside the worker: give it more --seconds")
    steps = {name: np.concatenate(of) for name, of in took.steps.items()}
    swaps = np.concatenate(took.swaps)
    figures = {"alone": row(alone), "beside": row(beside)}
    return {
        "ratio_p50": round(figures["beside"]["p50_ms"] / figures["alone"]["p50_ms"], 3),
        "ratio_p99": round(figures["beside"]["p99_ms"] / figures["alone"]["p99_ms"], 3),
        **figures,
        "steps": {name: row(of) for name, of in steps.items() if len(of) >= LEAST},
        "around_swaps": row(swaps) if len(swaps) >= LEAST else None,
        "alone_spread": spread(took),
        "rounds": {kind: [row(one)["p99_ms"] for one in of] for kind, of in kinds(took)},
    }


def spread(took: Took) -> float:
    """The largest p99 alone as a multiple of the smallest: what the machine did by itself meanwhile."""
    p99 = [row(one)["p99_ms"] for one in took.alone]
    return round(max(p99) / min(p99), 2)


def kinds(took: Took) -> Iterator[tuple[str, list[NDArray[np.float64]]]]:
    yield "alone_p99_ms", took.alone
    yield "beside_p99_ms", [one for one in took.beside if len(one)]


def row(took: NDArray[np.float64]) -> dict[str, float]:
    """The figures of some clicks."""
    p50, p95, p99 = percentiles_ms(took)
    return {"clicks": len(took), "p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "p99_ms": round(p99, 2)}


def trainer_options(args: argparse.Namespace, bootstrap: str, registry: Path) -> list[str]:
    """What both trainers are told. Threads and priority are the defaults unless asked for."""
    where = ["--bootstrap-servers", bootstrap, "--registry", str(registry)]
    model = ["--preset", args.preset, "--max-seconds", str(args.train_seconds), *EASY]
    given = {"--threads": args.threads, "--nice": args.nice}
    return [
        *where,
        *model,
        *(word for name, value in given.items() if value is not None for word in (name, str(value))),
    ]


@contextmanager
def trainer(options: Sequence[str], log: Path) -> Iterator[Worker]:
    """`nextclick trainer` with one cycle after another, from the moment that the first runs until the block ends."""
    port = free_port()
    often = ["--every", "1s", "--flush-s", "1", "--web-port", str(port)]
    running = Worker.of([sys.executable, "-m", "nextclick", "trainer", *options, *often], log, port)
    try:
        wait_for("a cycle of the trainer", lambda: step_of(running.health()), CYCLE_S, every_s=0.2)
        yield running
    finally:
        running.stop(45.0)


def measure(bootstrap: str, registry: Path, folder: Path, clicks: Sequence[Click], args: argparse.Namespace) -> Took:
    """Alone and beside in turn, alone at the end."""
    took, source = Took(), live(clicks)
    options = trainer_options(args, bootstrap, registry)
    setting = Setting(bootstrap=bootstrap, registry=registry, bundle=registry)
    log = folder / "worker.log"
    with processes(nextclick().command(setting, GROUP), 1, log) as running:
        try:
            warm_up(bootstrap, source, running)
            for number in range(args.rounds):
                took.alone.append(open_loop(bootstrap, source, args.rate, args.seconds, folder).took)
                progress.print(f"{number + 1}. alone: p99 {row(took.alone[-1])['p99_ms']} ms")
                with (
                    trainer(options, folder / f"trainer-{number}.log") as beside,
                    Watch(beside.health) as watch,
                ):
                    loop = open_loop(bootstrap, source, args.rate, args.seconds_beside, folder)
                took.add(loop, watch.moments)
                if len(took.beside[-1]):
                    progress.print(f"{number + 1}. beside a cycle: p99 {row(took.beside[-1])['p99_ms']} ms")
            took.alone.append(open_loop(bootstrap, source, args.rate, args.seconds, folder).took)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{last_words(log)}") from error
    return took


def first_version(args: argparse.Namespace, bootstrap: str, registry: Path) -> dict[str, Any]:
    """A version of what is on the topic, and what `--once` says of it."""
    done = cli("trainer", "--once", *trainer_options(args, bootstrap, registry), "--json", timeout_s=ONCE_S)
    if done.returncode:
        raise RuntimeError(f"the first training failed with {done.returncode}:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def cycles(registry: Path) -> list[dict[str, Any]]:
    """Outcome and seconds of the cycles that ended, the first version's apart."""
    lines = (registry / ".trainer" / "decisions.jsonl").read_text().splitlines()
    return [{name: one[name] for name in ("outcome", "seconds")} for one in map(json.loads, lines[1:])]


def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All of it; returns what is printed."""
    clicks = simulate_clicks(args.items, args.clicks)
    registry = folder / "registry"
    Registry(registry).create()
    with broker(args.bootstrap_servers) as bootstrap:
        create_topics(bootstrap, partitions=PARTITIONS, group=GROUP)
        send(bootstrap, clicks)
        first = first_version(args, bootstrap, registry)
        progress.print(f"first version: {first['clicks']:,} clicks, {first['seconds']} s")
        skip_backlog(bootstrap, GROUP)
        took = measure(bootstrap, registry, folder, clicks, args)
    figures = summary(took)
    if figures["alone_spread"] > STEADY:
        progress.print(
            f"the p99 alone differs {figures['alone_spread']} times from loop to loop: other work was on the machine, "
            "and the ratios say little. Run it again on a quiet one"
        )
    return {
        **figures,
        "rate": args.rate,
        "preset": args.preset,
        "first_cycle_s": first["seconds"],
        "cycles": cycles(registry),
        "threads": args.threads,
        "nice": args.nice,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "at": time.strftime("%Y-%m-%d"),
    }


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--preset", choices=PRESETS, default="tron-fast", metavar="NAME")
    parser.add_argument("--items", type=int, default=26_000, help="catalogue of the simulated shop")
    parser.add_argument("--clicks", type=int, default=150_000, help="on the topic before the first training")
    parser.add_argument("--rate", type=float, default=1_000, help="clicks a second")
    parser.add_argument("--seconds", type=float, default=15, help="of each loop alone")
    parser.add_argument("--seconds-beside", type=float, default=45, help="of each loop beside the trainer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--train-seconds", type=float, default=20, help="of one training, of which a cycle has two")
    parser.add_argument("--threads", type=int, help="of the trainer; left out: its default")
    parser.add_argument("--nice", type=int, help="of the trainer; left out: its default")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main() -> None:
    args = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        result = run(args, Path(folder))
    print(json.dumps(result, indent=None if args.json else 2))


if __name__ == "__main__":
    main()
