"""What the similar items of a whole catalogue take, by policy, in one process; and what an item switched off takes.

python -m bench.lists.similar [--items V] [--k K] [--hidden H] [--broker] [--json]

Each item has one of 500 categories, near whose others it lies, and one of 200 brands; a tenth of all is unavailable, a
hundredth boosted. `turn_s`: the lists of all items; `cpu_s`: of the processor. `off_s`: an item is switched off in the
table, and the lists that held it are made anew; `holders`: how many these are. With a broker, `nextclick similar
publish --follow` runs by a policy (the item's category first, at most 2 of a brand), and it is seen when the topic has
what.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench.harness.similar_service import served
from bench.lists.policies import CATEGORIES, items_of, shown
from bench.measure.bundles import publish_random
from bench.measure.cluster import broker
from export.bundle.bundle import load_bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy.config import Boost, Filter, Pin, Placement, Policy
from export.policy.similar import SimilarLists
from export.ranking.similar import Similar, write_vectors

OFFS = 6  # items switched off with a broker, at rest and in turns
POLICIES = {
    "none": Policy(unavailable=False, boosts=False),
    "unavailable": Policy(boosts=False),
    "boosts": Policy(),
    "a tenth boosted, a pin": Policy(
        boost=tuple(Boost("brand", f"b{number}", 1.2) for number in range(20)), pins=(Pin("item-7", 2),)
    ),
    "at most 2 a brand": Policy(at_most={"brand": 2}),
    "same category": Policy(filter=Filter(same="category")),
    "same category, at most 2 a brand": Policy(filter=Filter(same="category"), at_most={"brand": 2}),
    "half of the brands": Policy(filter=Filter(where={"brand": tuple(f"b{number}" for number in range(100))})),
}


def main() -> None:
    args = parse()
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as scratch:
        names = [f"item-{number}" for number in range(args.items)]
        bundle = load_bundle(publish_random(Path(scratch) / "registry", names, Path(scratch), name="tron-fast"))
        table = items_of(names)
        write_vectors(Path(scratch) / "near.npy", vectors(table, names, args.hidden))
        near = Path(scratch) / "near.npy"
        similar = Similar(dataclasses.replace(bundle, vectors_path=near))
        rows = [measure(similar, table, name, policy, args.k) for name, policy in POLICIES.items()]
        found: dict[str, Any] = {}
        if args.broker or args.bootstrap_servers:
            with broker(args.bootstrap_servers) as bootstrap:
                found = served(bootstrap, bundle, near, table, Path(scratch), OFFS)
    if args.json:
        print(json.dumps({"items": args.items, "k": args.k, "hidden": args.hidden, "rows": rows, **found}))
    else:
        Console().print(shown(rows, f"{args.items:,} items of {args.hidden} numbers, lists of {args.k}"))
        for name, value in found.items():
            Console().print(f"{name}  {value}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=26_000, help="V, the catalogue and the table")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=64, help="H, of a vector")
    parser.add_argument("--broker", action="store_true", help="also publish, on a broker")
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def vectors(table: ItemTable, names: list[str], hidden: int) -> np.ndarray[Any, Any]:
    """Return vectors (V, H) around the middle of each item's category."""
    random = np.random.default_rng(0)
    known = [table.get(name) for name in names]
    category = [int(item.attributes["category"][0][1:]) for item in known if item is not None]
    return random.normal(size=(CATEGORIES, hidden))[category] + random.normal(size=(len(names), hidden))


def measure(similar: Similar, table: ItemTable, name: str, policy: Policy, k: int) -> dict[str, Any]:
    """Return the row of one policy."""
    placement = Placement(name="", k=k, policy=policy)
    view = CatalogueView(table, similar.vocabulary)
    began, cpu = time.perf_counter(), time.process_time()
    made = SimilarLists(similar, placement, view, time.time_ns() // 1_000_000)
    held: dict[str, list[str]] = {item: [other for other, _ in found] for item, found in made.all()}
    turn, cpu = time.perf_counter() - began, time.process_time() - cpu
    off = next(other for others in held.values() for other in others)
    item = table.get(off)
    assert item is not None
    table.put(Item(off, available=False, attributes=item.attributes))
    holders = [asked for asked, others in held.items() if off in others]
    began = time.perf_counter()
    view.refresh()
    again = SimilarLists(similar, placement, view, time.time_ns() // 1_000_000)
    found = again.of(holders)
    took = time.perf_counter() - began
    assert not policy.unavailable or not any(off in dict(one or ()) for one in found)
    table.put(item)
    counts = made.counts
    return {
        "policy": name,
        "turn_s": round(turn, 2),
        "cpu_s": round(cpu, 2),
        "again": counts.again,
        "filled": counts.filled,
        "off_s": round(took, 3),
        "holders": len(holders),
    }


if __name__ == "__main__":
    main()
