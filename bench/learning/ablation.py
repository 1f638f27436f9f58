"""What each rule of `auto` is worth: the same training without it, on several shops, judged on their test parts.

    python -m bench.learning.ablation [--data-dir DIR] [--datasets yoochoose_100k serenade beauty tmall nowplaying full]
        [--rules counts dropout ...] [--seeds 0] [--budget 60s] [--out FILE] [--json]

`auto` is given the train part alone, as in `bench.learning.quality`. Each rule is undone by options that a user has:

    counts    the network alone, without the layer behind it (--counts off)
    dropout   tron-fast's, also where an item has few clicks (--set dropout=.15 input_dropout=.25)
    batch     232 sessions a step, also where a pass has few of them (--batch 232)
    length    tron-fast's passes and cosine in place of evidence (--set schedule=cosine epochs=1.35 ...)
    start     a random item table, in place of vectors by what is clicked together (--set first_items=random)
    newest    all sessions are drawn from, also where the time is for a part of them (--set newest_sessions=0)
    refit     what is held out stays unlearned (--no-refit)

A rule that pays nowhere, by the difference to the first row of each shop, should go.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.data.datasets import DATASETS, Parts, make_parts
from bench.learning.quality import ROOT, USUAL_DATA, WIDTH
from export.errors import NextclickError
from model.auto.settle import AUTO
from model.data.readers import ReadOptions
from model.evaluate.metrics import MAIN, SECOND
from model.evaluate.report import evaluate_bundle
from model.presets import preset

SETS = ("yoochoose_100k", "serenade", "beauty", "tmall", "nowplaying", "full")
FAST = preset("tron-fast")
_ENCODER, _TRAIN = ("dropout", "input_dropout"), ("schedule", "epochs", "reference", "min_epochs", "min_steps")
WITHOUT: dict[str, list[str]] = {
    "counts": ["--counts", "off"],
    "dropout": [f"--set={name}={getattr(FAST.encoder, name)}" for name in _ENCODER],
    "batch": ["--batch", str(FAST.train.batch)],
    "length": [f"--set={name}={getattr(FAST.train, name)}" for name in _TRAIN],
    "start": ["--set=first_items=random"],
    "newest": ["--set=newest_sessions=0"],
    "refit": ["--no-refit"],
}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA, help="folder of the data sets")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(SETS), metavar="NAME")
    parser.add_argument("--rules", nargs="+", choices=WITHOUT, default=list(WITHOUT), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--budget", metavar="TIME", help="of each training, all of it: 60s, 2000steps")
    parser.add_argument("--out", type=Path, help="JSON lines: one a training, kept as it comes")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    args = parser.parse_args()
    try:
        rows = [row for dataset in args.datasets for row in measured(dataset, args)]
    except (NextclickError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
    shown_on = sys.stderr if args.json else sys.stdout
    Console(file=shown_on, width=None if shown_on.isatty() else WIDTH).print(table(rows))
    if args.json:
        print(json.dumps({"rows": rows}))


def measured(dataset: str, args: argparse.Namespace) -> list[Row]:
    """Return a row for `auto` and for it without each rule, means over the seeds."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        parts = make_parts(dataset, args.data_dir, Path(folder))
        for rule in (None, *args.rules):
            options = [] if rule is None else WITHOUT[rule]
            found = [trained(parts, seed, args.budget, options) for seed in args.seeds]
            row: Row = {"dataset": dataset, "without": rule, "seeds": len(found)}
            row |= {name: sum(one[name] for one in found) / len(found) for name in found[0]}
            rows.append(row)
            print(f"{dataset} without {rule}: {row[MAIN]:.4f} {row[SECOND]:.4f}", file=sys.stderr, flush=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    return rows


def trained(parts: Parts, seed: int, budget: str | None, options: list[str]) -> dict[str, float]:
    """Return the test figures, and the training's seconds. CalledProcessError where it fails."""
    limit = [] if budget is None else ["--budget", budget]
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as registry:
        given = ["--data", str(parts.train), "--registry", registry, "--preset", AUTO, "--seed", str(seed)]
        command = [sys.executable, "-m", "nextclick", "train", *given, *limit, *options, "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            done.check_returncode()
        summary = json.loads(done.stdout.splitlines()[-1])
        test = evaluate_bundle(Path(summary["bundle"]), parts.test, ReadOptions())
    return {MAIN: test[MAIN], SECOND: test[SECOND], "seconds": summary["seconds"]}


def table(rows: list[Row]) -> Table:
    """Return the rows for people; those without a rule with what that is worth."""
    shown = Table("data set", "", "Recall@20", "MRR@20", "worth", "training s", box=None)
    whole: dict[str, Row] = {row["dataset"]: row for row in rows if row["without"] is None}
    for row in rows:
        first = whole[row["dataset"]]
        worth = "" if row is first else f"{first[MAIN] - row[MAIN]:+.4f} / {first[SECOND] - row[SECOND]:+.4f}"
        name = "auto" if row is first else f"without {row['without']}"
        shown.add_row(row["dataset"], name, f"{row[MAIN]:.4f}", f"{row[SECOND]:.4f}", worth, f"{row['seconds']:.0f}")
    return shown


if __name__ == "__main__":
    main()
