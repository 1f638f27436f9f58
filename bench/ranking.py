"""Lists a second of the ranker by preset, one process, no broker: what a model costs to serve.

python -m bench.ranking [--preset NAME ...] [--items V] [--batch B] [--seconds S] [--threads N] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.bundles import publish_random
from export.bundle import load_bundle
from export.ranker import Ranker, RankerConfig
from model.presets import PRESETS

K = 20
LENGTH = 4.0  # mean clicks of a session that is ranked, geometric, as in a web shop
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS), metavar="NAME")
    parser.add_argument("--items", type=int, default=26_000, help="V, the catalogue")
    parser.add_argument("--batch", type=int, default=256, help="sessions ranked at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="of ranking, for each preset")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: one a core")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = [measure(name, args) for name in args.preset]
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        Console().print(table(rows, args.items, args.batch))


def measure(name: str, args: argparse.Namespace) -> Row:
    """Return lists a second of an untrained model of the preset `name`."""
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as scratch:
        folder = Path(scratch)
        items = [f"item-{number}" for number in range(args.items)]
        bundle = load_bundle(publish_random(folder / "registry", items, folder, name=name))
        ranker = Ranker(bundle, RankerConfig(threads=args.threads))
        batches = [sessions(args.batch, args.items, seed) for seed in range(16)]
        lists, began = 0, time.perf_counter()
        while time.perf_counter() - began < args.seconds:
            ranker.rank(batches[lists // args.batch % len(batches)], K)
            lists += args.batch
        seconds = time.perf_counter() - began
        size = bundle.onnx_path.stat().st_size
    return {"preset": name, "lists_per_s": round(lists / seconds), "megabytes": round(size / 1e6, 1)}


def sessions(count: int, items: int, seed: int) -> list[NDArray[np.int32]]:
    """Return random sessions of catalogue ids."""
    random = np.random.default_rng(seed)
    lengths = random.geometric(1.0 / LENGTH, count)
    return [random.integers(1, items, length, dtype=np.int32, endpoint=True) for length in lengths]


def table(rows: list[Row], items: int, batch: int) -> Table:
    """Return the rows as a table for people."""
    shown = Table(title=f"{items:,} items, {batch} sessions at once")
    for column in ("preset", "lists/s", "MB"):
        shown.add_column(column, justify="left" if column == "preset" else "right")
    for row in rows:
        shown.add_row(row["preset"], f"{row['lists_per_s']:,}", f"{row['megabytes']:.1f}")
    return shown


if __name__ == "__main__":
    main()
