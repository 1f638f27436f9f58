"""Sessions a second of TRON's own code beside ours, the same log and settings, one after the other in one run.

    python -m bench.learning.authors.speed --tron CHECKOUT [--data LOG] [--seconds S] [--json]

CHECKOUT is a working tree of https://github.com/otto-de/TRON. Its data set, collation, model, loss and optimizer are
run as they are, in float32, without Lightning's trainer around them (which would only add to their time). Ours is
`bench.learning.training --preset tron`.
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

import numpy as np
import torch

from bench.learning.authors import tron
from bench.learning.training import load
from model.data.log import SessionLog

WARM_UP = 2  # batches before the clock starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tron", type=Path, required=True, help="working tree of otto-de/TRON")
    parser.add_argument("--data", type=Path, help="click log; left out: the simulator's shop")
    parser.add_argument("--seconds", type=float, default=30.0, help="of training, for each of the two")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    tron.require(args.tron)
    log, _ = load(args.data, 12_000, 50_000)
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        theirs = authors(args.tron, log, Path(folder), args.seconds)
    ours = our_own(args.data, args.seconds)
    result = {"authors_sessions_per_s": round(theirs, 1), "sessions_per_s": ours, "times": round(ours / theirs, 1)}
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


def our_own(data: Path | None, seconds: float) -> float:
    """Return what `bench.learning.training` prints for `tron`."""
    command = [sys.executable, "-m", "bench.learning.training", "--preset", "tron", "--seconds", str(seconds), "--json"]
    command += ["--data", str(data)] if data else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["sessions_per_s"])


def authors(checkout: Path, log: SessionLog, folder: Path, seconds: float) -> float:
    """Return sessions a second of the checkout's settings on `log`."""
    model, loader, batch = tron.build(checkout, log, folder)
    return speed(model, loader, batch, seconds)


def speed(model: Any, loader: Any, batch: int, seconds: float) -> float:
    """Return sessions a second of training steps, after a warm-up."""
    optimizer = model.configure_optimizers()
    began, steps = time.monotonic(), -WARM_UP
    for given in loader:
        if steps == 0:
            began = time.monotonic()
        optimizer.zero_grad()
        model.training_step(given, steps).backward()
        optimizer.step()
        steps += 1
        if steps > 0 and time.monotonic() - began >= seconds:
            break
    return steps * batch / (time.monotonic() - began)


if __name__ == "__main__":
    np.random.seed(0)
    torch.manual_seed(0)
    main()
