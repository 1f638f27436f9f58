"""Lists a second of the ranker by preset, one process, no broker: what a model costs to serve, and to load.

python -m bench.costs.ranking [--preset NAME ...] [--items V] [--batch B ...] [--threads N ...] [--seconds S] [--exact]
                        [--counts N ...] [--bundle DIR ...] [--loading | --turns] [--json]

`ms` is the median of one call for B sessions; `python_us` what of it, for each session, is not the graph's.
With `--turns` all are loaded and rank the same sessions in turn: `times` is what a call takes by the first one's, the
median over the turns, of the work (CPU time) that it is, which other processes disturb least.
With `--loading` the same model is loaded again while a thread wakes each millisecond: `gap_ms` is the longest time in
which that thread, an event loop as it were, could not run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.measure.bundles import publish_random
from export.bundle.bundle import Bundle, _vocabularies, load_bundle
from export.graph.choice import Scoring
from export.ranking.ranker import Ranker, RankerConfig
from model.presets import PRESETS

K = 20
LENGTH = 4.0  # mean clicks of a session that is ranked, geometric, as in a web shop
BATCHES = 16  # different ones ranked in turn
TICK_S = 0.001
Row = dict[str, Any]
Ranked = tuple[Bundle, str]  # and its name


def main() -> None:
    args = parse()
    if args.turns:
        rows = [*in_turns(bundles(args), args)]
    else:
        rows = [row for bundle, name in bundles(args) for row in measure(bundle, name, args)]
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        Console().print(table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS), metavar="NAME")
    parser.add_argument("--bundle", nargs="+", type=Path, default=[], help="trained bundles, in place of the presets")
    parser.add_argument("--items", type=int, default=26_000, help="V, the catalogue")
    parser.add_argument("--batch", nargs="+", type=int, default=[256], help="sessions ranked at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="of ranking, for each row")
    parser.add_argument("--threads", nargs="+", type=int, default=[0], help="CPU threads; 0: one a core")
    parser.add_argument("--exact", action="store_true", help="never score in int8")
    parser.add_argument(
        "--counts", nargs="+", type=int, choices=[0, 1, 4, 8], default=[0], help="clicks whose counts are read"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--loading", action="store_true", help="measure loading in place of ranking")
    what.add_argument("--turns", action="store_true", help="rank by all of them in turns, for ratios")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def bundles(args: argparse.Namespace) -> Iterator[Ranked]:
    """Yield what is measured: the bundles given, or untrained ones of the presets, which are as fast."""
    for path in args.bundle:
        yield load_bundle(path), str(path)
    for name, counted in [] if args.bundle else product(args.preset, args.counts):
        with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as scratch:
            items = [f"item-{number}" for number in range(args.items)]
            scoring: Scoring = "exact" if args.exact else "auto"
            made = publish_random(
                Path(scratch) / "registry", items, Path(scratch), name=name, scoring=scoring, counted=counted
            )
            yield load_bundle(made), f"{name}, counts of {counted}" if counted else name


def measure(bundle: Bundle, name: str, args: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each number of threads, and of sessions where ranking is measured."""
    size = bundle.onnx_path.stat().st_size
    about = {"preset": name, "items": len(bundle.vocabulary), "megabytes": round(size / 1e6, 1)}
    for threads in args.threads:
        if args.loading:
            yield {**about, "threads": threads, **loading(bundle.path, threads, args.seconds)}
            continue
        ranker = Ranker(bundle, RankerConfig(threads=threads))
        for batch in args.batch:
            yield {**about, "threads": threads, "batch": batch, **ranking(ranker, batch, args.seconds)}


def in_turns(every: Iterable[Ranked], args: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each number of threads, of sessions, and each bundle."""
    loaded = [  # while a bundle is there
        (name, [Ranker(bundle, RankerConfig(threads=threads)) for threads in args.threads]) for bundle, name in every
    ]
    for place, threads in enumerate(args.threads):
        rankers = [own[place] for _, own in loaded]
        for batch in args.batch:
            work: list[list[float]] = [[] for _ in rankers]
            drawn = [drawings(ranker, batch) for ranker in rankers]
            ends = time.perf_counter() + args.seconds * len(rankers)
            while len(work[0]) < BATCHES or time.perf_counter() < ends:
                turn = len(work[0])
                for number in range(len(rankers)):
                    at = (number + turn) % len(rankers)
                    began = time.process_time()
                    rankers[at].rank_items(*drawn[at][turn % BATCHES])
                    work[at].append(time.process_time() - began)
            for (name, _), ranker, own in zip(loaded, rankers, work, strict=True):
                ratios = [mine / first for mine, first in zip(own, work[0], strict=True)]
                about = {"preset": name, "items": len(ranker.vocabulary), "threads": threads, "batch": batch}
                taken = round(1e3 * statistics.median(own), 3)
                yield {**about, "work_ms": taken, "times": round(statistics.median(ratios), 3)}


def drawings(ranker: Ranker, batch: int) -> list[tuple[list[list[str]], int, list[list[str]]]]:
    """Return what rankers are given in turn: sessions by shop ids, K, and each session's newest item excluded."""
    names = ranker.vocabulary.items
    drawn = [
        [[names[item - 1] for item in one] for one in sessions(batch, len(names), seed)] for seed in range(BATCHES)
    ]
    return [(some, K, [session[-1:] for session in some]) for some in drawn]


def ranking(ranker: Ranker, batch: int, seconds: float) -> Row:
    """Return the times of ranking by shop ids."""
    drawn = drawings(ranker, batch)
    took: list[float] = []
    with graph_time(ranker) as inside:
        while len(took) < BATCHES or sum(took) < seconds:
            given = drawn[len(took) % BATCHES]
            began = time.perf_counter()
            ranker.rank_items(*given)
            took.append(time.perf_counter() - began)
    return {
        "ms": round(1e3 * statistics.median(took), 3),
        "lists_per_s": round(batch * len(took) / sum(took)),
        "python_us": round(1e6 * (sum(took) - sum(inside)) / batch / len(took), 2),
    }


@contextmanager
def graph_time(ranker: Ranker) -> Iterator[list[float]]:
    """Collect the seconds of each run of the ranker's graph."""
    seconds: list[float] = []
    runner = ranker._runner
    run = runner.run

    def timed(*inputs: Any) -> Any:
        began = time.perf_counter()
        found = run(*inputs)
        seconds.append(time.perf_counter() - began)
        return found

    runner.run = timed  # type: ignore[method-assign,assignment]
    try:
        yield seconds
    finally:
        runner.run = run  # type: ignore[method-assign]


def loading(path: Path, threads: int, seconds: float) -> Row:
    """Return how long loading takes, and how long it keeps other threads from running."""
    took: list[float] = []
    with ticking() as gaps:
        while len(took) < 3 or sum(took) < seconds:
            _vocabularies.clear()  # as a version with other items: it shares nothing with one in use
            began = time.perf_counter()
            Ranker(load_bundle(path), RankerConfig(threads=threads))
            took.append(time.perf_counter() - began)
    longest = sorted(gaps)[::-1]
    return {
        "loads": len(took),
        "load_ms": round(1e3 * statistics.median(took), 1),
        "gap_ms": round(1e3 * longest[0], 1),
        "gap_p99_ms": round(1e3 * longest[len(longest) // 100], 1),
    }


@contextmanager
def ticking() -> Iterator[list[float]]:
    """Collect the seconds between the ticks of a thread, less the time it slept on purpose."""
    gaps: list[float] = []
    stopped = threading.Event()

    def tick() -> None:
        last = time.perf_counter()
        while not stopped.is_set():
            time.sleep(TICK_S)
            now = time.perf_counter()
            gaps.append(now - last - TICK_S)
            last = now

    thread = threading.Thread(target=tick, name="ticks", daemon=True)
    thread.start()
    try:
        yield gaps
    finally:
        stopped.set()
        thread.join()


def sessions(count: int, items: int, seed: int) -> list[NDArray[np.int32]]:
    """Return random sessions of catalogue ids."""
    random = np.random.default_rng(seed)
    lengths = random.geometric(1.0 / LENGTH, count)
    return [random.integers(1, items, length, dtype=np.int32, endpoint=True) for length in lengths]


def table(rows: list[Row]) -> Table:
    """Return the rows as a table for people."""
    shown = Table(title="the ranker")
    for column in rows[0]:
        shown.add_column(column, justify="left" if column == "preset" else "right")
    for row in rows:
        shown.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    return shown


if __name__ == "__main__":
    main()
