"""What a training with codes takes of memory, beside a dense one, at catalogues of any size.

    python -m bench.learning.codes_memory [--catalogues 300000 2000000] [--items dense svd random] [--preset tron-fast]
        [--sessions 100000] [--steps 30] [--form 8x8] [--json]

The log is synthetic: every item is clicked, the rest of the clicks by Zipf. Each training runs in a process of its own,
for `--steps` steps and one validation: `log` is the memory it has before, all libraries loaded, `peak` its largest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.learning.codes import DENSE, numbers_of
from export.bundle.vocabulary import Vocabulary
from model.codes.config import CodesConfig
from model.data.log import SessionLog

Row = dict[str, Any]
ROOT = Path(__file__).parents[2]
CLICKS = 6  # of a session
VALID = 50  # sessions to validate on


def main() -> None:
    args = _parsed()
    if args.alone is not None:
        print(json.dumps(measured(args.alone, args.catalogues[0], args)))
        return
    rows = [in_process(items, catalogue, args) for catalogue in args.catalogues for items in args.items]
    if args.json:
        print(json.dumps({"rows": rows}))
        return
    shown = Table("catalogue", "items", "log MiB", "peak MiB", "codes s", "ms a step", "validation s", box=None)
    for row in rows:
        figures = [f"{row[name]:,.0f}" for name in ("log", "peak")]
        times = [f"{row['codes_s']:.1f}", f"{row['step_ms']:.0f}", f"{row['valid_s']:.1f}"]
        shown.add_row(f"{row['catalogue']:,}", row["items"], *figures, *times)
    Console(width=120).print(shown)


def in_process(items: str, catalogue: int, args: argparse.Namespace) -> Row:
    """Return a row, measured in a process of its own."""
    options = ["--catalogues", str(catalogue), "--alone", items, "--preset", args.preset, "--form", args.form]
    options += ["--sessions", str(args.sessions), "--steps", str(args.steps)]
    command = [sys.executable, "-m", "bench.learning.codes_memory", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def measured(items: str, catalogue: int, args: argparse.Namespace) -> Row:
    """Train for some steps, and say what it took."""
    from dataclasses import replace

    from model.learn.train import Trainer
    from model.machine.memory import peak_memory_mb
    from model.machine.threads import use_threads
    from model.presets import preset

    use_threads(1)
    log = zipf_log(args.sessions, catalogue)
    chosen = preset(args.preset).override(threads=1, epochs=1.0, reference=0, min_epochs=0.0, min_steps=args.steps)
    chosen = replace(chosen, tower=None)
    if items != DENSE:
        splits, bits = numbers_of(args.form)
        chosen = replace(chosen, codes=CodesConfig(made_by=items, splits=splits, bits=bits))  # type: ignore[arg-type]
    before, began = peak_memory_mb(), time.perf_counter()
    trainer = Trainer(log, log.select(np.arange(VALID)), chosen, run="")
    made = time.perf_counter()
    for _ in range(args.steps):
        trainer.train_step()
    trained = time.perf_counter()
    trainer.end_epoch()
    return {
        "catalogue": catalogue,
        "items": items if items == DENSE else f"{items} {args.form}",
        "log": before,
        "peak": peak_memory_mb(),
        "codes_s": made - began,
        "step_ms": (trained - made) / args.steps * 1000,
        "valid_s": time.perf_counter() - trained,
    }


def zipf_log(sessions: int, catalogue: int) -> SessionLog:
    """Return sessions of 6 clicks in which every item occurs, as far as they reach, and the first far more often."""
    random = np.random.default_rng(0)
    clicks = np.exp(random.random(sessions * CLICKS) * np.log(catalogue)).astype(np.int32).clip(1, catalogue)
    once = random.permutation(catalogue)[: len(clicks) // 2].astype(np.int32) + 1
    clicks[random.permutation(len(clicks))[: len(once)]] = once
    return SessionLog(
        items=clicks,
        offsets=np.arange(0, len(clicks) + 1, CLICKS, dtype=np.int64),
        ts=np.arange(len(clicks), dtype=np.int64),
        vocabulary=Vocabulary(map(str, range(catalogue))),
    )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogues", nargs="+", type=int, default=[300_000, 2_000_000])
    parser.add_argument("--items", nargs="+", choices=[DENSE, "svd", "bpr", "random"], default=[DENSE, "svd"])
    parser.add_argument("--preset", default="tron-fast")
    parser.add_argument("--form", default="8x8")
    parser.add_argument("--sessions", type=int, default=400_000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
