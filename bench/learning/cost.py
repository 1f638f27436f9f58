"""What `nextclick train` costs with no option but the data, from logs of 2,000 sessions to millions.

    python -m bench.learning.cost [--sessions 2000 20000 ...] [--items N] [--budget TIME] [--seed N] [--json]

Each log is one of the simulator's shop, written as Parquet; the training is a process of its own. Wall time and largest
memory are those of the whole command: read, count baselines, train, export, judge, learn what was held out, publish.
`us a click` is what must stay where cost grows linearly; small logs pay for the process and the export.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.simulated.simulator import simulate_log
from demo.simulated.stock import ShopConfig
from model.evaluate.metrics import MAIN, SECOND

ROOT = Path(__file__).parents[2]
WIDTH = 150  # characters of the table where there is no terminal
SESSIONS = (2_000, 20_000, 200_000, 800_000, 5_000_000)

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", type=int, default=list(SESSIONS), metavar="N")
    parser.add_argument("--items", type=int, default=26_000, help="catalogue of the shop")
    parser.add_argument("--budget", metavar="TIME", help="of each training; left out: until nothing is gained any more")
    parser.add_argument("--seed", type=int, default=0, help="of the shop")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    args = parser.parse_args()
    rows = []
    for sessions in args.sessions:
        rows.append(measure(sessions, ShopConfig(items=args.items, seed=args.seed), args.budget))
        print(told(rows[-1]), file=sys.stderr, flush=True)
    shown_on = sys.stderr if args.json else sys.stdout
    Console(file=shown_on, width=None if shown_on.isatty() else WIDTH).print(table(rows))
    if args.json:
        print(json.dumps({"rows": rows}))


def measure(sessions: int, shop: ShopConfig, budget: str | None) -> Row:
    """Train on a log of so many sessions. CalledProcessError where that fails."""
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        data = Path(folder) / "clicks.parquet"
        clicks = simulate_log(data, shop, sessions)
        paths = ["--data", str(data), "--registry", str(Path(folder) / "registry")]
        command = [sys.executable, "-m", "nextclick", "train", *paths]
        limit = [] if budget is None else ["--budget", budget]
        began = time.perf_counter()
        done = subprocess.run([*command, *limit, "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - began
    summary = json.loads(done.stdout.splitlines()[-1])
    best = max(summary["baselines"], key=lambda name: summary["baselines"][name][MAIN], default=None)
    beside = {} if best is None else summary["baselines"][best]
    return {
        "sessions": sessions,
        "clicks": clicks,
        "seconds": round(seconds, 1),
        "us_a_click": round(1e6 * seconds / clicks, 1),
        "training_s": summary["seconds"],
        "passes": summary["epochs"],
        "peak_memory_mb": summary["peak_memory_mb"],
        "bytes_a_click": round(summary["peak_memory_mb"] * 2**20 / clicks),
        "refitted": summary["refitted"],
        **{name: summary["valid"].get(name) for name in (MAIN, SECOND)},
        "baseline": best,
        **{f"baseline_{name}": beside.get(name) for name in (MAIN, SECOND)},
    }


def told(row: Row) -> str:
    """Return a row in one line."""
    return f"{row['sessions']:,} sessions: {row['seconds']:,.0f} s, {row['peak_memory_mb']:,.0f} MiB"


def table(rows: list[Row]) -> Table:
    """Return the rows for people."""
    shown = Table("sessions", "clicks", box=None)
    titles = ("s", "us a click", "passes", "peak MiB", "bytes a click", "Recall@20 / MRR@20", "best baseline")
    for title in titles:
        shown.add_column(title, justify="right")
    for row in rows:
        shown.add_row(
            f"{row['sessions']:,}",
            f"{row['clicks']:,}",
            f"{row['seconds']:,.0f}",
            f"{row['us_a_click']:,.0f}",
            f"{row['passes']:.3g}",
            f"{row['peak_memory_mb']:,.0f}",
            f"{row['bytes_a_click']:,}",
            quality(row[MAIN], row[SECOND]),
            f"{row['baseline']} {quality(row[f'baseline_{MAIN}'], row[f'baseline_{SECOND}'])}",
        )
    return shown


def quality(recall: float | None, mrr: float | None) -> str:
    """Return `.5123 / .2345`, or a dash where nothing was judged."""
    return "-" if recall is None or mrr is None else f"{recall:.4f} / {mrr:.4f}"


if __name__ == "__main__":
    main()
