"""Clicks against orders: one model for every preference, beside weights of targets and a model that is told nothing.

    python -m bench.learning.behaviours [--data-dir DIR] [--seeds 0 1] [--epochs N] [--hidden N] [--json]

Trivago's sessions (clicks on hotels, click-outs to the booking site as orders), cut and read as `feedback.py` does.
Recall@20 of the targets that are clicks, and of those that are orders, by a model as `nextclick train --preset
tron` makes it with further options: none, `--typed`, `--typed --target-weights order=5`, and `--typed --preference`,
the last of them served with several preferences.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.learning.feedback import FILES, MIN_SUPPORT, RATES, USUAL_DATA, Data, load, ranks_of
from model.learn.feedback import ORDER_SIDE
from model.learn.train import train
from model.machine.openmp import spin_briefly
from model.presets import preset

MODELS: dict[str, dict[str, Any]] = {
    "tron": {},
    "typed": {"typed": True},
    "typed, order=5": {"typed": True, "target_weights": (("order", 5.0),)},
    "typed, preference": {"typed": True, "preference": True},
}
PREFERENCES = (0.0, 0.25, 0.5, 0.75, 1.0)

Row = dict[str, Any]


def main() -> None:
    spin_briefly()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = load(args.data_dir / FILES["trivago"], MIN_SUPPORT["trivago"])
    rows = [row for name in MODELS for seed in args.seeds for row in measure(name, seed, data, args)]
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        Console(width=100).print(table(rows))


def measure(name: str, seed: int, data: Data, args: argparse.Namespace) -> list[Row]:
    """Return a row for each preference that a model is served with; one where it is told none."""
    sizes = {"hidden": args.hidden, "feed_forward": args.hidden, "epochs": args.epochs, "threads": args.threads}
    drawn = {"uniform": 2_048, "batch": 32, "lr": RATES["trivago"], "dropout": 0.2, "seed": seed}
    trained = train(data.train, data.valid, preset("tron").override(**sizes, **drawn, **MODELS[name]))
    kinds = data.test.kinds
    assert kinds is not None
    late = np.isin(kinds[data.test.predicted], ORDER_SIDE)
    rows = []
    for preference in PREFERENCES if MODELS[name].get("preference") else (None,):
        found = ranks_of(trained.encoders[0], data.test, preference)[0] <= 20
        row = {
            "model": name,
            "preference": preference,
            "seed": seed,
            "clicks": round(float(found[~late].mean()), 4),
            "orders": round(float(found[late].mean()), 4),
            "of_clicks": int((~late).sum()),
            "of_orders": int(late.sum()),
            "seconds": round(trained.seconds, 1),
        }
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def table(rows: list[Row]) -> Table:
    """Return means over seeds."""
    found = Table("model", "preference", "seeds", "Recall@20 of clicks", "of orders", "train s")
    for name, preference in dict.fromkeys((row["model"], row["preference"]) for row in rows):
        group = [row for row in rows if (row["model"], row["preference"]) == (name, preference)]
        means = [statistics.mean(row[what] for row in group) for what in ("clicks", "orders", "seconds")]
        shown = "" if preference is None else f"{preference:g}"
        found.add_row(name, shown, str(len(group)), f"{means[0]:.4f}", f"{means[1]:.4f}", f"{means[2]:.0f}")
    return found


if __name__ == "__main__":
    main()
