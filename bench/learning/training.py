"""Sessions a second of training with the presets' own settings, and the memory it takes.

    python -m bench.learning.training [--preset NAME ...] [--data LOG] [--seconds S] [--threads N] [--attributes]
        [--json]

Each preset trains in a process of its own; all of them where none is named. With exactly one `--json` is its row.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from demo.simulated.interested import items_of
from demo.simulated.shop import Shop
from demo.simulated.simulator import simulate_log
from demo.simulated.stock import ShopConfig
from model.config import Preset
from model.data.known_items import ItemFeatures, KnownItems
from model.data.log import SessionLog
from model.data.readers import build_log, read_log
from model.data.split import hold_out
from model.machine.memory import peak_memory_mb
from model.machine.openmp import spin_briefly
from model.presets import PRESETS, preset

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS), metavar="NAME")
    parser.add_argument("--data", type=Path, help="click log; left out: the simulator's shop")
    parser.add_argument("--items", type=int, default=12_000, help="catalogue of the simulated shop")
    parser.add_argument("--sessions", type=int, default=50_000, help="of the simulated shop")
    parser.add_argument("--seconds", type=float, default=20.0, help="of training, for each preset")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: one a core")
    parser.add_argument("--attributes", action="store_true", help="learn the simulated shop's attributes, too")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    spin_briefly()  # as `nextclick train` does, before torch is imported
    alone = len(args.preset) == 1
    rows = [measure(args.preset[0], args) if alone else in_own_process(name, args) for name in args.preset]
    if args.json:
        print(json.dumps(rows[0] if alone else {"rows": rows}))
    else:
        Console().print(table(rows))


def in_own_process(name: str, args: argparse.Namespace) -> Row:
    """Return the row of a preset, measured by this command in a process of its own: peak memory is a process's."""
    options = {"preset": name, "items": args.items, "sessions": args.sessions}
    options |= {"seconds": args.seconds, "threads": args.threads}
    command = [sys.executable, "-m", "bench.learning.training", "--json"]
    command += [word for option, value in options.items() for word in (f"--{option}", str(value))]
    command += ["--data", str(args.data)] if args.data else []
    command += ["--attributes"] if args.attributes else []
    print(f"{name}: {args.seconds:g} s of training", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(name: str, args: argparse.Namespace) -> Row:
    """Train one preset for `args.seconds`, and return its row; memory is this process's peak, MiB."""
    from model.learn.committee import train_preset

    log, valid = load(args.data, args.items, args.sessions)
    chosen = preset(name).override(epochs=100, threads=args.threads, max_seconds=args.seconds)
    speed = train_preset(log, valid, chosen, items=attributes(log, chosen, args)).sessions_per_s
    return {
        "preset": name,
        "sessions_per_s": round(speed, 1),
        "positions_per_s": round(speed * positions(log, chosen.encoder.window), 1),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "batch": chosen.train.batch,
        "threads": args.threads or len(os.sched_getaffinity(0)),
        "clicks_per_session": round(log.clicks / log.sessions, 2),
        "items": len(log.vocabulary),
        "cpus": os.cpu_count(),
    }


def attributes(log: SessionLog, chosen: Preset, args: argparse.Namespace) -> ItemFeatures | None:
    """What the simulated shop says of its items, where that is asked for."""
    if not args.attributes or args.data is not None or chosen.tower is None:
        return None
    return KnownItems(items_of(Shop(ShopConfig(items=args.items))), chosen.tower).features(log.vocabulary)


def positions(log: SessionLog, window: int) -> float:
    """Return how many next clicks a session has that a model of this window learns from, on average."""
    return float(np.minimum(log.lengths - 1, window).mean())


def load(data: Path | None, items: int, sessions: int) -> tuple[SessionLog, SessionLog]:
    """The log to learn from, and the part held out of it."""
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        path = data or Path(folder) / "shop.parquet"
        if data is None:
            simulate_log(path, ShopConfig(items=items), sessions)
        raw, held_out = hold_out(read_log(path))
    log = build_log(raw)
    return log, build_log(held_out, log.vocabulary)


def table(rows: list[Row]) -> Table:
    """Return the rows for people."""
    shown = Table("preset", box=None)
    for title in ("sessions/s", "positions/s", "peak MiB", "batch"):
        shown.add_column(title, justify="right")
    for row in rows:
        figures = (row["sessions_per_s"], row["positions_per_s"], row["peak_memory_mb"], row["batch"])
        shown.add_row(row["preset"], *(f"{value:,.0f}" for value in figures))
    return shown


if __name__ == "__main__":
    main()
