"""Sessions a second of TRON's own code beside ours, the same log and settings, one after the other in one run.

    python -m bench.learning.authors --tron CHECKOUT [--data LOG] [--seconds S] [--json]

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
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.learning.training import load
from model.data.log import SessionLog

SETTINGS = Path("configs/tron/yoochoose.json")  # of the checkout
WARM_UP = 2  # batches before the clock starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tron", type=Path, required=True, help="working tree of otto-de/TRON")
    parser.add_argument("--data", type=Path, help="click log; left out: the simulator's shop")
    parser.add_argument("--seconds", type=float, default=30.0, help="of training, for each of the two")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not (args.tron / SETTINGS).is_file():
        sys.exit(f"error: {args.tron} is no working tree of otto-de/TRON: it has no {SETTINGS}")
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
    """Return sessions a second of the checkout's configs/tron/yoochoose.json on `log`."""
    config = json.loads((checkout / SETTINGS).read_text())
    sys.path.insert(0, str(checkout))
    sys.modules["pytorch_lightning"] = stand_in()
    from src.sasrec.dataset import SasRecDataset  # type: ignore[import-not-found]  # the checkout's
    from src.sasrec.model import SASRec  # type: ignore[import-not-found]

    sessions = folder / "train.jsonl"
    write_otto(log, sessions)
    sampling = {name: config[name] for name in ("num_uniform_negatives", "sampling_style", "shuffling_style")}
    sampling |= {name: config[name] for name in ("reject_uniform_session_items", "reject_in_batch_items")}
    data = SasRecDataset(
        str(sessions),
        log.sessions,
        num_items=len(log.vocabulary),
        max_seqlen=config["max_session_length"],
        num_in_batch_negatives=config["num_batch_negatives"],
        **sampling,
    )
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=config["batch_size"],
        drop_last=True,
        shuffle=True,
        collate_fn=data.dynamic_collate,
        num_workers=1,
    )
    model = SASRec(
        hidden_size=config["hidden_size"],
        dropout_rate=config["dropout"],
        max_len=config["max_session_length"],
        num_items=len(log.vocabulary),
        batch_size=config["batch_size"],
        sampling_style=config["sampling_style"],
        topk_sampling=config["topk_sampling"],
        topk_sampling_k=config["topk_sampling_k"],
        learning_rate=config["lr"],
        num_layers=config["num_layers"],
        loss=config["loss"],
        optimizer=config["optimizer"],
        output_bias=config["output_bias"],
        share_embeddings=config["share_embeddings"],
    )
    return speed(model, loader, config["batch_size"], seconds)


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


def stand_in() -> ModuleType:
    """Return what the checkout's model needs of Lightning: a module with a device, and nowhere to log."""

    class LightningModule(nn.Module):
        device = torch.device("cpu")

        def log(self, *_args: Any, **_options: Any) -> None:
            """Log nothing."""

        def save_hyperparameters(self, *_args: Any, **_options: Any) -> None:
            """Save nothing."""

    lightning = ModuleType("pytorch_lightning")
    lightning.LightningModule = LightningModule  # type: ignore[attr-defined]
    return lightning


def write_otto(log: SessionLog, path: Path) -> None:
    """Write the sessions as OTTO's JSON lines, which the checkout reads."""
    with path.open("w") as file:
        for session in range(log.sessions):
            items = log.session(session).tolist()
            events = [{"aid": item, "ts": ts, "type": "clicks"} for ts, item in enumerate(items)]
            file.write(json.dumps({"session": session, "events": events}) + "\n")


if __name__ == "__main__":
    np.random.seed(0)
    torch.manual_seed(0)
    main()
