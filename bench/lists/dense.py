"""Lists of dense models: by the scan outside the graph, against the graph that ranks, through one ranker, one process.

python -m bench.lists.dense [--items N ...] [--preset NAME] [--batch B ...] [--threads T ...] [--bundle DIR]
                      [--exact] [--seconds S] [--json]

Models are untrained ones of the preset, which are as fast; or a trained bundle. Both ways rank the same sessions of
catalogue ids, in turns. `us` is the work of the process for a list, `wall_us` what passed; `times` compares work,
`lists_per_s` is by the wall. `peak_mb` is the most memory that loading and ranking took beyond what there was before.
`same` is the share of places with the same item: where items tie but for rounding, they may swap. `--exact`: the graph
scores in fp32.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: what is compared has the ranker's threads alone

import numpy as np
from rich.console import Console

from bench.costs.ranking import sessions
from bench.lists.scan import table
from bench.measure.bundles import publish_random
from export.bundle.bundle import Bundle, load_bundle
from export.ranking.ranker import Ranker, RankerConfig
from model.presets import PRESETS

K, TURNS = 20, 4
_PEAK = "5"  # what resets the most memory a process had, in /proc/self/clear_refs
Row = dict[str, Any]


def main() -> None:
    args = parse()
    rows = []
    for bundle in bundles(args):
        for row in measure(bundle, args):
            rows.append({**row, "load": round(os.getloadavg()[0], 1)})
            if args.json:
                print(json.dumps(rows[-1]), flush=True)
    if not args.json:
        Console(width=150).print(table(rows, "lists of dense models"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", nargs="+", type=int, default=[26_000, 100_000, 500_000])
    parser.add_argument("--preset", choices=PRESETS, default="tron-fast")
    parser.add_argument("--bundle", type=Path, help="a trained one, in place of the preset")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 32, 256])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--exact", action="store_true", help="the graph never scores in int8")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row")
    parser.add_argument("--json", action="store_true", help="a line a row, as soon as it is measured")
    return parser.parse_args()


def bundles(args: argparse.Namespace) -> Iterator[Bundle]:
    """Yield what is measured, one after the other, as large ones fill disks."""
    if args.bundle:
        yield load_bundle(args.bundle)
    for count in [] if args.bundle else args.items:
        with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as scratch:
            names, folder = [f"item-{number}" for number in range(count)], Path(scratch)
            scoring: Any = "exact" if args.exact else "auto"
            yield load_bundle(publish_random(folder / "registry", names, folder, name=args.preset, scoring=scoring))


def measure(bundle: Bundle, args: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each number of threads, batch and way."""
    if bundle.sessions_path is None:
        raise SystemExit(f"{bundle.path} has no sessions.onnx, so that its lists are made inside its graph alone")
    ways = {"graph": dataclasses.replace(bundle, sessions_path=None), "scan": bundle}
    for threads in args.threads:
        rankers, loaded = {}, {}
        for way, one in ways.items():
            before = fresh_peak()
            rankers[way] = Ranker(one, RankerConfig(threads=threads))
            loaded[way] = peak() - before
        for batch in args.batch:
            yield from compared(
                rankers, loaded, batch, args.seconds, {"items": len(bundle.vocabulary)} | {"threads": threads}
            )


def compared(
    rankers: dict[str, Ranker], loaded: dict[str, float], batch: int, seconds: float, about: Row
) -> Iterator[Row]:
    """Yield a row a way, timed in turns."""
    items = len(next(iter(rankers.values())).vocabulary)
    batches = [sessions(batch, items, seed) for seed in range(TURNS)]
    lists = [ranker.rank(batches[0], K)[0] for ranker in rankers.values()]
    worked: dict[str, list[float]] = {way: [] for way in rankers}
    passed: dict[str, list[float]] = {way: [] for way in rankers}
    peaks = dict(loaded)
    for turn in range(TURNS):
        for way, ranker in rankers.items():
            before, end = fresh_peak(), time.perf_counter() + seconds / TURNS
            while time.perf_counter() < end or len(worked[way]) < turn + 1:
                began, working = time.perf_counter(), time.process_time()
                ranker.rank(batches[turn], K)
                passed[way].append(time.perf_counter() - began)
                worked[way].append(time.process_time() - working)
            peaks[way] = max(peaks[way], loaded[way] + peak() - before)
    us = {way: 1e6 * float(np.median(took)) / batch for way, took in worked.items()}
    for way in rankers:
        yield {
            **about,
            "batch": batch,
            "way": way,
            "us": round(us[way], 1),
            "wall_us": round(1e6 * float(np.median(passed[way])) / batch, 1),
            "lists_per_s": round(batch * len(passed[way]) / sum(passed[way])),
            "times": round(us["graph"] / us[way], 2),
            "peak_mb": round(peaks[way]),
            "same": round(float((lists[0] == lists[1]).mean()), 4),
        }


def fresh_peak() -> float:
    """Forget what the process had at most, and return what it has, in MB."""
    Path("/proc/self/clear_refs").write_text(_PEAK)
    return peak()


def peak() -> float:
    """Return the most memory the process had since, in MB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
