"""A shop with churn: a million items added over a day of retraining, and what each cycle costs and finds.

    python -m bench.learning.churn [--base 1000000] [--added 1000000] [--cycles 10] [--svd-at 10] [--form 8x8]
        [--base-sessions 200000] [--test 400] [--work DIR] [--json]

The shop is synthetic: items belong to topics of `--topic` items, a session stays in one, and what is clicked in it goes
by Zipf. Each cycle adds its share of the items; each new one is in the sessions of its cycle, two of them beside two
known ones. A cycle goes on from the one before, as a trainer's does: known items keep their codes, new ones get theirs
from what they were clicked with, and it learns from its own sessions and as many earlier ones. Beside it, at the cycles
`--svd-at`: a training from scratch on all sessions so far, with an SVD of its own. Each runs in a process of its own.

`new recall`: of sessions nobody trained on, how often the next click on an item of this cycle is among 20 of all items;
`earlier`: the same of items that were there before. `place`: seconds for the codes; MiB: the most memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.learning.codes import numbers_of
from export.bundle.vocabulary import Vocabulary
from model.codes.config import CodesConfig
from model.config import Preset
from model.data.log import SessionLog

Row = dict[str, Any]
Ids = NDArray[np.int32]
ROOT = Path(__file__).parents[2]
CLICKS = 4  # of a session
VALID = 50  # sessions that a training validates on
FIGURES = ("new recall", "earlier recall")


def main() -> None:
    args = _parsed()
    if args.alone is not None:
        print(json.dumps(trained(args.alone, args.cycle, args)))
        return
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        args.work = args.work or Path(folder)
        jobs = [("warm", cycle) for cycle in range(args.cycles + 1)] + [("svd", cycle) for cycle in args.svd_at]
        rows = [in_process(how, cycle, args) for how, cycle in jobs]
    if args.json:
        print(json.dumps({"rows": rows}))
        return
    shown = Table("cycle", "codes", "items", "sessions", "place s", "all s", "MiB", *FIGURES, "predictions", box=None)
    for row in rows:
        recalls = ["" if row[name] is None else f"{row[name]:.4f}" for name in FIGURES]
        costs = [f"{row['place_s']:.1f}", f"{row['seconds']:.0f}", f"{row['peak_mb']:,.0f}"]
        counts = [f"{row['items']:,}", f"{row['sessions']:,}"]
        shown.add_row(str(row["cycle"]), row["how"], *counts, *costs, *recalls, f"{row['predictions']:,}")
    Console(width=120).print(shown)


def in_process(how: str, cycle: int, args: argparse.Namespace) -> Row:
    """Return a row, measured in a process of its own."""
    command = [sys.executable, "-m", "bench.learning.churn", "--alone", how, "--cycle", str(cycle)]
    for name in ("base", "added", "cycles", "topic", "base_sessions", "test", "preset", "form", "epochs", "work"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def trained(how: str, cycle: int, args: argparse.Namespace) -> Row:
    """Train one cycle, and say what it took and what it finds. Cycle 0 is the shop in the morning."""
    from model.codes.make import training_codes
    from model.learn.train import train
    from model.learn.validation import next_click_ranks
    from model.machine.memory import peak_memory_mb
    from model.machine.threads import use_threads

    use_threads(1)
    shop, chosen = Shop(args), preset_of(args)
    log, test = shop.log(cycle, everything=how == "svd"), shop.test(cycle)
    parent = args.work / f"warm-{cycle - 1}" if how == "warm" and cycle else None
    began = time.perf_counter()
    codes = training_codes(log, chosen, init_from=parent)
    placed = time.perf_counter()
    valid = log.select(np.arange(min(VALID, log.sessions)))
    found = train(log, valid, chosen, directory=args.work / f"{how}-{cycle}", init_from=parent, codes=codes)
    ended = time.perf_counter()
    ranks = next_click_ranks(found.encoders, test, row=chosen.train.row)
    targets = test.items[np.arange(len(test.items)) % CLICKS > 0]
    new = (targets > shop.known(cycle)) & (cycle > 0)
    return {
        "cycle": cycle,
        "how": how,
        "items": len(log.vocabulary),
        "sessions": log.sessions,
        "place_s": placed - began,
        "seconds": ended - began,
        "peak_mb": peak_memory_mb(),
        "new recall": float((ranks[new] <= 20).mean()) if new.any() else None,
        "earlier recall": float((ranks[~new] <= 20).mean()),
        "median rank": float(np.median(ranks[new if cycle else ~new])),
        "predictions": len(ranks),
    }


def preset_of(args: argparse.Namespace) -> Preset:
    """The preset with codes, and as many passes as were asked for."""
    from model.presets import preset

    splits, bits = numbers_of(args.form)
    chosen = preset(args.preset).override(threads=1, epochs=args.epochs, reference=0, min_epochs=0.0, min_steps=0)
    return replace(chosen, tower=None, codes=CodesConfig(made_by="svd", splits=splits, bits=bits))


class Shop:
    """Sessions of each cycle, always the same: items 1..known belong to topics by their id."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._topics = max(1, args.base // args.topic)

    def known(self, cycle: int) -> int:
        """Items that were there before a cycle."""
        return 0 if cycle == 0 else self._there(cycle - 1)

    def log(self, cycle: int, *, everything: bool) -> SessionLog:
        """What a training learns from: all sessions so far, or those of its cycle and as many earlier ones."""
        own = self._sessions(cycle)
        earlier = [self._sessions(one) for one in range(cycle)]
        if earlier and not everything:
            before = np.concatenate(earlier)
            some = np.random.default_rng(cycle).choice(len(before), min(len(before), len(own)), replace=False)
            earlier = [before[np.sort(some)]]
        return self._as_log(np.concatenate([*earlier, own]), cycle)

    def test(self, cycle: int) -> SessionLog:
        """Sessions that nobody trains on, of items of which half are new."""
        random = np.random.default_rng([cycle, 1])
        known, there = self.known(cycle), self._there(cycle)
        topics = random.integers(0, self._topics, self._args.test)
        rows = [self._clicks(topics, known or there, random) for _ in range(CLICKS // 2)]
        rows += [self._clicks(topics, there, random, above=known) for _ in range(CLICKS // 2)]
        return self._as_log(np.stack(rows, axis=1), cycle)

    def _there(self, cycle: int) -> int:
        args = self._args
        return int(args.base + args.added * cycle // args.cycles)

    def _sessions(self, cycle: int) -> Ids:
        """Return clicks (S, 4): in the morning of any items, later of two known and two new ones, each of them once."""
        random = np.random.default_rng([cycle, 0])
        if cycle == 0:
            topics = random.integers(0, self._topics, self._args.base_sessions)
            return np.stack([self._clicks(topics, self._args.base, random) for _ in range(CLICKS)], axis=1)
        known, there = self.known(cycle), self._there(cycle)
        fresh = np.arange(known + 1, there + 1, dtype=np.int32)
        topics = (fresh - 1) % self._topics
        order = np.lexsort((random.random(len(fresh)), topics))  # new ones of a topic side by side
        first = fresh[order][: len(fresh) // 2 * 2].reshape(-1, 2)
        whole = first[(first[:, 0] - 1) % self._topics == (first[:, 1] - 1) % self._topics]
        apart = fresh[~np.isin(fresh, whole)]
        pairs = np.concatenate([whole, np.stack([apart, apart], axis=1)])
        beside = (pairs[:, 0] - 1) % self._topics
        rows = [self._clicks(beside, known, random) for _ in range(CLICKS // 2)]
        return np.stack([*rows, pairs[:, 0], pairs[:, 1]], axis=1)[random.permutation(len(pairs))]

    def _clicks(self, topics: NDArray[np.int64], there: int, random: np.random.Generator, above: int = 0) -> Ids:
        """Return one item of each topic among those from `above` to `there`, the first ones far more often."""
        low = -(-(above - topics) // self._topics)  # the first place in the topic that is above
        count = (there - 1 - topics) // self._topics - low + 1
        place = low + np.exp(random.random(len(topics)) * np.log(np.maximum(count, 1) + 1)).astype(np.int64) - 1
        clicks: Ids = (topics + np.minimum(place, low + np.maximum(count, 1) - 1) * self._topics + 1).astype(np.int32)
        return clicks

    def _as_log(self, rows: Ids, cycle: int) -> SessionLog:
        return SessionLog(
            items=rows.ravel(),
            offsets=np.arange(0, rows.size + 1, CLICKS, dtype=np.int64),
            ts=np.arange(rows.size, dtype=np.int64),
            vocabulary=Vocabulary(map(str, range(self._there(cycle)))),
        )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=int, default=1_000_000, help="items in the morning")
    parser.add_argument("--added", type=int, default=1_000_000, help="items over the day")
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--svd-at", nargs="*", type=int, default=[10], help="cycles with an SVD of their own beside")
    parser.add_argument("--topic", type=int, default=50, help="items of a topic in the morning")
    parser.add_argument("--base-sessions", type=int, default=200_000, help="of the morning's log")
    parser.add_argument("--test", type=int, default=400, help="sessions to test each cycle on")
    parser.add_argument("--preset", default="tron-fast")
    parser.add_argument("--form", default="8x8")
    parser.add_argument("--epochs", type=float, default=1.0, help="passes of each training over its log")
    parser.add_argument("--work", type=Path, help="folder for the models, kept")
    parser.add_argument("--alone", choices=["warm", "svd"], help=argparse.SUPPRESS)
    parser.add_argument("--cycle", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
