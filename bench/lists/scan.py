"""Lists from item codes: what one takes, against the product with a dense table and against other ways, one process.

python -m bench.lists.scan [--items N ...] [--form 8x8 16x4 ...] [--codes random svd] [--batch B ...] [--threads T ...]
                     [--every-way] [--peers] [--check QUERIES] [--seconds S] [--seed S] [--json]

A form is splits x bits. `random`: random codes and books. `svd`: codes as a training makes them, of simulated sessions
of a catalogue whose items are clicked by Zipf's law, with books that go evenly from code to code; sessions that are
ranked are such sessions. `dense` multiplies and picks the best by numpy; peers that are not installed are left out, and
said. Tables of partial scores are made within the time. `cpu_ms` is what the process worked, `ms` what passed, on a
busy machine more; `times_dense` compares work. `--check` compares that many lists, each with up to 30
exclusions, with those of adding everything up.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: the dense product has one core

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.peers.scans import peers
from bench.rig.coded import random_codes, zipf_codes
from export.codes.codes import ItemCodes
from export.ranking.ragged import Ragged
from export.scan.plain import best_first, sums
from export.scan.scan import CodeScan

K, HIDDEN = 20, 128
FEWEST, PREPARED = 5, 4_096  # calls; queries there are
Row = dict[str, Any]
Lists = Callable[[NDArray[np.float32]], Any]


def main() -> None:
    args = parse()
    rows: list[Row] = []
    for row in (row for items in args.items for row in measure(items, args)):
        rows.append({**row, "load": round(os.getloadavg()[0], 1)})
        if args.json:
            print(json.dumps(rows[-1]), flush=True)
    console = Console(width=150)
    for columns in {} if args.json else {tuple(row): None for row in rows}:
        console.print(table([row for row in rows if tuple(row) == columns]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", nargs="+", type=int, default=[2_000_000])
    parser.add_argument("--form", nargs="+", default=["8x8", "16x4"], help="splits x bits of a code")
    parser.add_argument("--codes", nargs="+", choices=["random", "svd"], default=["random", "svd"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 64])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--every-way", action="store_true", help="each way of the scan, not its fastest alone")
    parser.add_argument("--peers", action="store_true", help="other ways than ours too")
    parser.add_argument("--check", type=int, default=0, metavar="QUERIES", help="compare lists in place of timing them")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="a line a row, as soon as it is measured")
    return parser.parse_args()


def measure(items: int, args: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each way, number of threads and batch."""
    dense: dict[int, float] = {}
    for form in args.form:
        splits, bits = map(int, form.split("x"))
        for kind in args.codes:
            codes, queries = prepared(kind, items, splits, bits, args.seed)
            about = {"items": items, "form": form, "codes": kind}
            if args.check:
                yield {**about, **compared(codes, queries, args.check, args.seed)}
                continue
            for batch in args.batch if not dense else []:
                took = timed(dense_lists(codes), queries, batch, args.seconds, fewest=2)
                dense[batch] = took["cpu_ms"]
                yield {**about, "way": "dense", "threads": 1, "batch": batch, **took, "times_dense": 1.0}
            for way, threads, lists in ways(codes, args):
                for batch in args.batch:
                    took = timed(lists, queries, batch, args.seconds)
                    row = {**about, "way": way, "threads": threads, "batch": batch, **took}
                    yield {**row, "times_dense": round(dense[batch] / took["cpu_ms"], 1)}


def prepared(kind: str, items: int, splits: int, bits: int, seed: int) -> tuple[ItemCodes, NDArray[np.float32]]:
    """Return codes, and queries (PREPARED, H)."""
    width = HIDDEN // splits
    if kind == "svd":
        return zipf_codes(items, splits=splits, bits=bits, width=width, seed=seed, queries=PREPARED)
    random = np.random.default_rng(seed + 1)
    codes = random_codes(items, splits=splits, bits=bits, width=width, seed=seed)
    return codes, random.standard_normal((PREPARED, splits * width), dtype=np.float32)


def ways(codes: ItemCodes, args: argparse.Namespace) -> Iterator[tuple[str, int, Lists]]:
    """Yield the ways of the scan, and those of others."""
    for threads in args.threads:
        every = CodeScan(codes).ways()
        for way in every if args.every_way else every[:1]:
            scan = CodeScan(codes, threads=threads, way=way)
            yield way, scan.threads, lambda vectors, scan=scan: scan.best(codes.table(vectors), K)  # type: ignore[misc]
    if args.peers:
        yield from ((name, 1, lists) for name, lists in peers(codes, K))


def dense_lists(codes: ItemCodes) -> Lists:
    """Return what multiplies with a table of all vectors, (V, H), which is there as a dense model has it."""
    vectors = codes.vectors(np.arange(1, codes.items + 1))

    def lists(queries: NDArray[np.float32]) -> None:
        for first in range(0, len(queries), 16):  # as many as memory has room for
            scores = queries[first : first + 16] @ vectors.T
            np.argpartition(scores, codes.items - K, axis=1)[:, -K:]

    return lists


def timed(lists: Lists, queries: NDArray[np.float32], batch: int, seconds: float, fewest: int = FEWEST) -> Row:
    """Return medians and 95th percentiles of a call for a batch; the first call is not counted."""
    took: list[float] = []
    worked: list[float] = []
    lists(queries[:batch])
    while len(took) < fewest or sum(took) < seconds:
        first = (len(took) * batch) % (len(queries) - batch)
        began, working = time.perf_counter(), time.process_time()
        lists(queries[first : first + batch])
        took.append(time.perf_counter() - began)
        worked.append(time.process_time() - working)
    row = {"ms": np.median(took), "p95_ms": np.percentile(took, 95)}
    row |= {"cpu_ms": np.median(worked), "cpu_p95_ms": np.percentile(worked, 95)}
    rounded = {name: round(1e3 * float(value), 3) for name, value in row.items()}
    return {**rounded, "cpu_ms_a_list": round(rounded["cpu_ms"] / batch, 3)}


def compared(codes: ItemCodes, queries: NDArray[np.float32], count: int, seed: int) -> Row:
    """Return how many lists are not those of adding everything up: ids, order or scores."""
    random, scan, wrong = np.random.default_rng(seed), CodeScan(codes), 0
    for vector in queries[:count]:
        tables = codes.table(vector[None])
        every = sums(codes.codes[1:], tables[0])
        best = best_first(every, K) + 1
        out = np.concatenate([best[random.random(K) < 0.3], random.integers(1, codes.items + 1, 10)]).astype(np.int32)
        every[out - 1] = -np.inf
        places = best_first(every, K)
        ids, scores = scan.best(tables, K, Ragged.of([out]))
        wrong += not (np.array_equal(ids[0], places + 1) and np.array_equal(scores[0], every[places]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"lists": min(count, len(queries)), "wrong": wrong, "way": scan.way, "peak_mb": peak // 1024}


def table(rows: list[Row], title: str = "lists from item codes") -> Table:
    """Return the rows as a table for people."""
    shown = Table(title=title)
    for column in rows[0]:
        shown.add_column(column, justify="right")
    for row in rows:
        shown.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    return shown


if __name__ == "__main__":
    main()
