"""hidasib/GRU4Rec_PyTorch_Official as published: its training, and its own evaluation.

    python -m bench.learning.authors.gru CHECKOUT '{"train": LOG, "test": LOG, "seed": 0, "epochs": null, ...}'

trains and judges in this process, and prints one JSON object; `python -m bench.learning.authors` calls it. Its
evaluation is our protocol: every position, the whole catalogue; ties count against it (`conservative`).
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.data.log import SessionLog
from model.data.readers import ReadOptions, build_log, read_log
from model.evaluate.metrics import CUTOFF, MAIN, SECOND
from model.machine.memory import peak_memory_mb

SETTINGS = Path("paramfiles/yoochoose_xe_shared_best.py")  # of the checkout
TESTED = 512  # sessions side by side, as its command does
SAMPLES = 10_000_000  # drawn ahead, as its command does


def require(checkout: Path) -> None:
    """Exit, saying what is missing, where it is no working tree of GRU4Rec_PyTorch_Official, or pandas is not there."""
    if not (checkout / SETTINGS).is_file():
        sys.exit(f"error: {checkout} is no working tree of GRU4Rec_PyTorch_Official: it has no {SETTINGS}")
    try:
        found = version("pandas")
    except PackageNotFoundError:
        found = "none"
    if found.split(".")[0] not in ("1", "2"):  # it takes rows of a Series by their places, which 3 does not
        sys.exit(f"error: GRU4Rec_PyTorch_Official needs pandas below 3, and here is {found}: pip install 'pandas<3'")


def measure(checkout: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Train on the log `train` and judge on `test`."""
    np.random.seed(given["seed"])
    torch.manual_seed(given["seed"])
    sys.path.insert(0, str(checkout))
    from evaluation import batch_eval  # type: ignore[import-not-found]  # the checkout's
    from gru4rec_pytorch import GRU4Rec, GRU4RecModel  # type: ignore[import-not-found]  # the checkout's

    first = GRU4RecModel._init_numpy_weights  # float32 with the numpy it was written for; numpy 2 makes doubles of it
    GRU4RecModel._init_numpy_weights = lambda model, shape: first(model, shape).astype(np.float32)

    log = build_log(read_log(Path(given["train"]), ReadOptions()))
    test = build_log(read_log(Path(given["test"]), ReadOptions()), log.vocabulary)
    settings = dict(runpy.run_path(str(checkout / SETTINGS))["gru4rec_params"])
    settings |= {"n_epochs": given["epochs"]} if given["epochs"] else {}
    model = GRU4Rec(device=torch.device("cpu"))
    with redirect_stdout(sys.stderr):
        model.set_params(**settings)
        began = time.monotonic()
        model.fit(frame(log), sample_cache_max_size=SAMPLES)
        seconds = time.monotonic() - began
        at_once = min(TESTED, test.sessions)  # it takes no fewer than it goes through side by side
        recall, mrr = batch_eval(model, frame(test), cutoff=[CUTOFF], batch_size=at_once, mode="conservative")
    epochs = settings["n_epochs"]
    costs = {"seconds": round(seconds, 1), "sessions_per_s": round(epochs * log.sessions / seconds, 1)}
    costs |= {"epochs": float(epochs), "peak_memory_mb": round(peak_memory_mb(), 1)}
    return {MAIN: float(recall[CUTOFF]), SECOND: float(mrr[CUTOFF])} | costs


def frame(log: SessionLog) -> Any:
    """Return the clicks as the table that it reads; items are text, as torch takes numbers in an index for places."""
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

    names = [str(item) for item in log.items.tolist()]  # text, as its command reads them
    columns = {"SessionId": np.repeat(np.arange(log.sessions), log.lengths), "ItemId": names}
    return pd.DataFrame(columns | {"Time": np.arange(log.clicks)})


if __name__ == "__main__":
    require(Path(sys.argv[1]))
    print(json.dumps(measure(Path(sys.argv[1]), json.loads(sys.argv[2]))))
