"""The papers' own code on our data sets: trained with its published settings, judged on the test part, beside ours.

    python -m bench.learning.authors [--tron CHECKOUT] [--gru CHECKOUT] [--data-dir DIR] [--datasets recent ...]
        [--epochs N] [--max-seconds S] [--seeds 0] [--out FILE] [--json]

CHECKOUT is a working tree of https://github.com/otto-de/TRON (configs/tron/yoochoose.json) or of
https://github.com/hidasib/GRU4Rec_PyTorch_Official (paramfiles/yoochoose_xe_shared_best.py; it needs pandas
below 3, which nextclick does not). Each training is a process of its own; epochs are theirs, or N. The protocol is that
of `bench.learning.quality`, whose --out can be the same file: every position, the whole catalogue ranked. TRON counts
positions from a session's end, so its figures know how many clicks are still to come; as published they are left so.
What else --out holds, ours by `bench.learning.quality` for instance, is in the table beside them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.data.datasets import DATASETS, Parts, make_parts, require
from bench.learning.authors import gru, tron
from bench.learning.quality import (
    METRICS,
    ROOT,
    USUAL_DATA,
    WIDTH,
    Job,
    Result,
    aggregate,
    append_result,
    commit,
    job_of,
    read_results,
    table,
)
from export.errors import NextclickError

SYSTEMS = {"tron": "otto-de/TRON", "gru": "GRU4Rec official"}
MODULES: dict[str, Any] = {"tron": tron, "gru": gru}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tron", type=Path, metavar="CHECKOUT", help="working tree of otto-de/TRON")
    parser.add_argument("--gru", type=Path, metavar="CHECKOUT", help="working tree of GRU4Rec_PyTorch_Official")
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA, help="folder of the data sets")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="[the published ones]")
    parser.add_argument("--max-seconds", type=float, help="of each training; TRON's only, GRU4Rec knows none")
    parser.add_argument("--out", type=Path, help="JSON lines: one a result, kept as it comes")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    args = parser.parse_args()
    checkouts = {name: given for name in SYSTEMS if (given := getattr(args, name)) is not None}
    if not checkouts:
        parser.error("name a working tree: --tron, --gru or both")
    for name, checkout in checkouts.items():
        MODULES[name].require(checkout)
    jobs = {
        Job(dataset=dataset, system=SYSTEMS[name], kind="authors", seed=seed, epochs_asked=args.epochs,
            max_seconds=args.max_seconds): (name, checkout)
        for dataset in args.datasets
        for name, checkout in checkouts.items()
        for seed in args.seeds
    }  # fmt: skip
    try:
        results, failed = measured(jobs, args.data_dir, args.out)
    except NextclickError as error:
        sys.exit(f"error: {error}")
    rows = aggregate(by_data_set(read_results(args.out) if args.out else results))
    shown_on = sys.stderr if args.json else sys.stdout
    Console(file=shown_on, width=None if shown_on.isatty() else WIDTH).print(table(rows))
    if args.json:
        print(json.dumps({"rows": rows}))
    sys.exit(1 if failed else 0)


def by_data_set(results: Iterable[Result]) -> list[Result]:
    """Return the results of each data set together, otherwise as they come."""
    return sorted(results, key=lambda result: DATASETS.index(result["dataset"]))


def measured(jobs: dict[Job, tuple[str, Path]], data_dir: Path, out: Path | None) -> tuple[list[Result], int]:
    """Return the results of the jobs, those in `out` as they are, and how many failed, which is said."""
    known = {job_of(result): result for result in read_results(out)} if out else {}
    failed = 0
    for dataset in dict.fromkeys(job.dataset for job in jobs if job not in known):
        require(dataset, data_dir)
        with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
            parts = make_parts(dataset, data_dir, Path(folder))
            for job, (name, checkout) in jobs.items():
                if job.dataset != dataset or job in known:
                    continue
                figures = in_own_process(job, name, checkout, parts)
                if figures is None:
                    failed += 1
                    continue
                known[job] = {**asdict(job), **figures, "commit": commit()}
                append_result(out, known[job])
    return [known[job] for job in jobs if job in known], failed


def in_own_process(job: Job, name: str, checkout: Path, parts: Parts) -> Result | None:
    """Train and judge in a process of its own; None where it failed, which is said."""
    given = {"train": str(parts.train), "test": str(parts.test), "seed": job.seed, "epochs": job.epochs_asked}
    given |= {"max_seconds": job.max_seconds}
    command = [sys.executable, "-m", f"bench.learning.authors.{name}", str(checkout), json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{job.dataset} {job.system}: failed", file=sys.stderr, flush=True)
        return None
    found: Result = json.loads(done.stdout.splitlines()[-1])
    print(f"{job.dataset} {job.system}: {found}", file=sys.stderr, flush=True)
    return dict.fromkeys(METRICS) | found


if __name__ == "__main__":
    main()
