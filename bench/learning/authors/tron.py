"""otto-de/TRON as published: its data set, collation, model, loss and optimizer, without Lightning around them.

    python -m bench.learning.authors.tron CHECKOUT '{"train": LOG, "test": LOG, "seed": 0, "epochs": null, ...}'

trains and judges in this process, and prints one JSON object; `python -m bench.learning.authors` calls it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.data.log import SessionLog
from model.data.readers import ReadOptions, build_log, read_log
from model.evaluate.metrics import CUTOFF, MAIN, SECOND
from model.machine.memory import peak_memory_mb

SETTINGS = Path("configs/tron/yoochoose.json")  # of the checkout
TESTED = 64  # sessions in one go


def require(checkout: Path) -> None:
    """Exit, saying what is missing, where it is no working tree of otto-de/TRON."""
    if not (checkout / SETTINGS).is_file():
        sys.exit(f"error: {checkout} is no working tree of otto-de/TRON: it has no {SETTINGS}")


def measure(checkout: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Train on the log `train` and judge on `test`."""
    np.random.seed(given["seed"])
    torch.manual_seed(given["seed"])
    log = build_log(read_log(Path(given["train"]), ReadOptions()))
    test = build_log(read_log(Path(given["test"]), ReadOptions()), log.vocabulary)
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        model, loader, batch = build(checkout, log, Path(folder))
        epochs = given["epochs"] or json.loads((checkout / SETTINGS).read_text())["max_epochs"]
        steps, seconds = train(model, loader, epochs, given["max_seconds"] or float("inf"))
    costs = {"seconds": round(seconds, 1), "sessions_per_s": round(steps * batch / seconds, 1)}
    costs |= {"epochs": round(steps * batch / log.sessions, 3), "peak_memory_mb": round(peak_memory_mb(), 1)}
    return judge(model, test) | costs


def train(model: Any, loader: Any, epochs: int, most_s: float) -> tuple[int, float]:
    """Take the steps of so many epochs, or as many as fit into the time; how many, and the seconds they took."""
    optimizer, steps, began = model.configure_optimizers(), 0, time.monotonic()
    for _ in range(epochs):
        for given in loader:
            optimizer.zero_grad()
            model.training_step(given, steps).backward()
            optimizer.step()
            steps += 1
            if time.monotonic() - began >= most_s:
                return steps, time.monotonic() - began
    return steps, time.monotonic() - began


@torch.no_grad()
def judge(model: Any, test: SessionLog) -> dict[str, float]:
    """Return Recall and MRR over all positions of the newest clicks that its window holds, the catalogue ranked."""
    model.eval()
    sessions, recall, mrr, count = test.tail(model.max_len + 1), 0.0, 0.0, 0
    for first in range(0, sessions.sessions, TESTED):
        some = [sessions.session(at) for at in range(first, min(first + TESTED, sessions.sessions))]
        states, targets = encoded(model, some)
        logits = states @ model.output_embedding.weight.T
        logits[:, 0] = -torch.inf  # padding
        ranks = (logits >= logits.gather(1, targets[:, None])).sum(1)  # ties count against it
        hits = ranks <= CUTOFF
        recall += float(hits.sum())
        mrr += float((hits / ranks).sum())
        count += len(targets)
    return {MAIN: recall / count, SECOND: mrr / count}


def encoded(model: Any, sessions: list[Any]) -> tuple[Tensor, Tensor]:
    """Return the states (Q, H) of the positions of some sessions, and the items (Q,) that were clicked next."""
    longest = max(map(len, sessions)) - 1
    clicks = torch.zeros(len(sessions), longest, dtype=torch.long)
    labels, mask = torch.zeros_like(clicks), torch.zeros(len(sessions), longest)
    for row, items in enumerate(sessions):
        ids = torch.from_numpy(items.astype(np.int64))
        clicks[row, longest - len(ids) + 1 :], labels[row, longest - len(ids) + 1 :] = ids[:-1], ids[1:]
        mask[row, longest - len(ids) + 1 :] = 1.0
    at = mask.bool()
    return model(clicks, mask)[at], labels[at]


def build(checkout: Path, log: SessionLog, folder: Path) -> tuple[Any, Any, int]:
    """Return the checkout's model, its batches of `log`, whose sessions are written into `folder`, and their size."""
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
    return model, loader, config["batch_size"]


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
    require(Path(sys.argv[1]))
    print(json.dumps(measure(Path(sys.argv[1]), json.loads(sys.argv[2]))))
