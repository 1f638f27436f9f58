"""What the similar items of a whole catalogue take, by policy, in one process; and what an item switched off takes.

python -m bench.similar [--items V] [--k K] [--hidden H] [--json]

Each item has one of 500 categories, near whose others it lies, and one of 200 brands; a tenth of all is unavailable, a
hundredth boosted. `turn_s`: the lists of all items. `off_s`: an item is switched off in the table, and the lists that
held it are made anew; `holders`: how many these are. Nothing is published.
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

from bench.measure.bundles import publish_random
from bench.policies import CATEGORIES, items_of, shown
from export.bundle.bundle import load_bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.items.view import CatalogueView
from export.policy.config import Boost, Filter, Pin, Placement, Policy
from export.policy.similar import SimilarLists
from export.ranking.similar import Similar, write_vectors

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
        similar = Similar(dataclasses.replace(bundle, vectors_path=Path(scratch) / "near.npy"))
        rows = [measure(similar, table, name, policy, args.k) for name, policy in POLICIES.items()]
    if args.json:
        print(json.dumps({"items": args.items, "k": args.k, "hidden": args.hidden, "rows": rows}))
    else:
        Console().print(shown(rows, f"{args.items:,} items of {args.hidden} numbers, lists of {args.k}"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=26_000, help="V, the catalogue and the table")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=64, help="H, of a vector")
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
    began = time.perf_counter()
    made = SimilarLists(similar, placement, view, time.time_ns() // 1_000_000)
    held: dict[str, list[str]] = {item: [other for other, _ in found] for item, found in made.all()}
    turn = time.perf_counter() - began
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
        "again": counts.again,
        "filled": counts.filled,
        "off_s": round(took, 3),
        "holders": len(holders),
    }


if __name__ == "__main__":
    main()
