"""Clicks against orders: one model for every preference, beside a model for each side alone and weights of targets.

    python -m bench.learning.behaviours [--data-dir DIR] [--models NAME ...] [--seeds 0 1] [--epochs N] [--hidden N]
        [--out FILE] [--json]

Trivago's sessions (clicks on hotels, click-outs to the booking site as orders), cut and read as `feedback.py` does.
Recall@20 of the targets that are clicks, and of those that are orders, by a model as `nextclick train --preset
tron` makes it with further options: none, `--typed`, `--typed --target-weights order=5`, and `--typed --preference`,
the last of them served with several preferences. `clicks alone` and `orders alone` are `--typed` with a weight of 0 for
all targets of the other side, each kept at the epoch that validates best by its own; all others at the best by both.
`the same again` is the share of the targets that repeat the item before them: what a list of that one item would find.
"""

from __future__ import annotations

import argparse
import statistics
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bench.learning.prefixes import ranks_of, repeats, share
from bench.learning.small import Data, Row, Watched, ended, kept, load, options, rounded, sized
from model.config import Preset
from model.data.log import SessionLog
from model.evaluate.metrics import MAIN
from model.learn.batches.feedback import ORDER_SIDE

DATASET = "trivago"
MODELS: dict[str, dict[str, Any]] = {
    "tron": {},
    "typed": {"typed": True},
    "typed, order=5": {"typed": True, "target_weights": (("order", 5.0),)},
    "clicks alone": {"typed": True, "target_weights": (("cart", 0.0), ("order", 0.0))},
    "orders alone": {"typed": True, "target_weights": (("click", 0.0), ("like", 0.0))},
    "typed, preference": {"typed": True, "preference": True},
}
PREFERENCES = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDES = ("clicks", "orders")


def main() -> None:
    parser = options(__doc__, 20)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME")
    args = parser.parse_args()
    ended(args, partial(measure, args), table)


def measure(args: argparse.Namespace) -> list[Row]:
    """Return a row for each model, seed and preference that it is served with; one where it is told none."""
    data = cache(partial(load, args.data_dir, DATASET))

    def one(job: Row) -> Row:
        sizes = {"uniform": 2_048, "epochs": job["epochs"], "seed": job["seed"]}
        return trained(job["model"], data(), sized("tron", DATASET, args, **sizes, **MODELS[job["model"]]))

    rows = []
    for seed in args.seeds:
        for name in args.models:
            job = {"model": name, "seed": seed, "epochs": args.epochs, "hidden": args.hidden}
            row = kept(args.out, job, partial(one, job))
            rows += [{**job, "seconds": row["seconds"], "best": row["best"], **served} for served in row["served"]]
    again = repeats(data().test)
    found = {side: round(float(again[side_of(data().test, side)].mean()), 4) for side in SIDES}
    return [*rows, {"model": "the same again", "preference": None, "seconds": 0.0, "best": 0.0, **found}]


def trained(name: str, data: Data, one: Preset) -> Row:
    """Return the figures of one training, by preference."""
    side = name.split()[0] if name.endswith(" alone") else None

    def watch(trainer: Watched, figures: dict[str, float]) -> dict[str, float]:
        if side is None:
            return figures
        found = ranks_of(trainer.judged, data.valid)[0][side_of(data.valid, side)]
        return {**figures, MAIN: share(found)}

    trainer = Watched(data, one, watch)
    done = trainer.run()
    curve = [(point["epoch"], round(point["loss"], 4), round(point[MAIN], 4)) for point in trainer.history]
    best = max(curve, key=lambda point: point[2])[0]
    served = []
    for preference in PREFERENCES if one.encoder.preference else (None,):
        ranks = ranks_of(done.encoders[0], data.test, preference)[0]
        row: Row = {"preference": preference}
        for which in SIDES:
            asked = side_of(data.test, which)
            row |= {which: share(ranks[asked]), f"of_{which}": int(asked.sum())}
        served.append(rounded(row))
    return {"seconds": round(done.seconds, 1), "best": best, "served": served, "curve": curve}


def side_of(log: SessionLog, side: str) -> NDArray[np.bool_]:
    """Return which predictions (P,) of a log are of clicks, or of orders."""
    assert log.kinds is not None
    late: NDArray[np.bool_] = np.isin(log.kinds[log.predicted], ORDER_SIDE)
    return late if side == "orders" else ~late


def table(rows: list[Row]) -> Table:
    """Return means over seeds."""
    found = Table("model", "preference", "seeds", "Recall@20 of clicks", "of orders", "best epoch", "train s")
    for name, preference in dict.fromkeys((row["model"], row["preference"]) for row in rows):
        group = [row for row in rows if (row["model"], row["preference"]) == (name, preference)]
        cells = [name, "" if preference is None else f"{preference:g}", str(len(group))]
        for which in SIDES:
            values = [row[which] for row in group]
            spread = f" ±{statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4f}{spread}")
        best, seconds = (statistics.mean(row[what] for row in group) for what in ("best", "seconds"))
        found.add_row(*cells, f"{best:.1f}", f"{seconds:.0f}")
    return found


if __name__ == "__main__":
    main()
