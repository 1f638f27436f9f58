"""What a policy costs: lists a second of the list maker by policy, beside the bare ranker, in one process.

python -m bench.lists.policies [--items V] [--batch B ...] [--only NAME ...] [--embedded X ...] [--seconds S]
                               [--preset NAME] [--threads N] [--json]

Each item has one of 500 categories and one of 200 brands, and all are of one shop; a tenth of all is unavailable, a
hundredth boosted. Every row is measured in turns with the bare ranker, and `ratio` is its time beside it. With
1,000,000 items: `--items 1000000`. `--embedded`: rows in which so many items are ranked by vectors that are newer than
the model.
`change_ms`: an item is switched off in the table, and the next list is without it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.costs.ranking import K, sessions
from bench.measure.bundles import publish_random
from export.bundle.bundle import load_bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.catalogue import Catalogue, Fresh
from export.policy.config import Filter, ListsConfig, Placement, Policy
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.ranker import Ranker, RankerConfig

BATCHES = 8
CATEGORIES, BRANDS = 500, 200
MOST = 25_990  # items that one of the policies blocks
Row = dict[str, Any]

NOTHING = Policy(unavailable=False, boosts=False)
POLICIES: dict[str, tuple[Placement, ...]] = {
    "none": (Placement(name="", k=K, policy=NOTHING),),
    "seen": (Placement(name="", k=K, policy=Policy(exclude=("seen",), unavailable=False, boosts=False)),),
    "unavailable": (Placement(name="", k=K, policy=Policy(boosts=False)),),
    "boosts": (Placement(name="", k=K, policy=Policy()),),
    "at most 2 a brand": (Placement(name="", k=K, policy=Policy(at_most={"brand": 2})),),
    "at most 1 of the only shop": (Placement(name="", k=K, policy=Policy(at_most={"shop": 1})),),
    "nothing passes": (Placement(name="", k=K, policy=Policy(filter=Filter(where={"brand": ("none",)}, fill=False))),),
    "few are available": (Placement(name="", k=K, policy=Policy(blocked=frozenset(f"item-{n}" for n in range(MOST)))),),
    "same category": (Placement(name="", k=K, policy=Policy(filter=Filter(same="category"))),),
    "3 placements": (
        Placement(name="home", k=K, policy=Policy(at_most={"brand": 3})),
        Placement(name="product", k=10, policy=Policy(filter=Filter(same="category"))),
        Placement(name="cart", k=5, policy=Policy(exclude=("seen",))),
    ),
}


def main() -> None:
    args = parse()
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as scratch:
        names = [f"item-{number}" for number in range(args.items)]
        folder = Path(scratch)
        bundle = load_bundle(
            publish_random(folder / "registry", names, folder, name=args.preset, fresh=bool(args.embedded))
        )
        ranker = Ranker(bundle, RankerConfig(threads=args.threads))
        table = items_of(names)
        rows = [row for batch in args.batch for row in measure(ranker, table, batch, args)]
    if args.json:
        print(json.dumps({"items": args.items, "preset": args.preset, "rows": rows}))
    else:
        Console().print(shown(rows, f"{args.preset}, {args.items:,} items"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=26_000, help="V, the catalogue and the table")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 64], help="sessions ranked at once")
    parser.add_argument("--seconds", type=float, default=3.0, help="of ranking, for each row")
    parser.add_argument("--only", nargs="+", default=list(POLICIES), choices=POLICIES, metavar="NAME")
    parser.add_argument("--embedded", nargs="+", type=int, default=[], metavar="X", help="items with newer vectors")
    parser.add_argument("--preset", default="tron-fast")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def items_of(names: list[str]) -> ItemTable:
    """Return a table of all items."""
    random = np.random.default_rng(0)
    categories, brands = random.integers(0, CATEGORIES, len(names)), random.integers(0, BRANDS, len(names))
    hidden, boosted = random.random(len(names)) < 0.1, random.random(len(names)) < 0.01
    table = ItemTable()
    for place, name in enumerate(names):
        table.put(
            Item(
                name,
                available=not hidden[place],
                attributes={"category": (f"c{categories[place]}",), "brand": (f"b{brands[place]}",), "shop": ("s",)},
                boost=1.5 if boosted[place] else 1.0,
            )
        )
    return table


def embedded(ranker: Ranker, table: ItemTable, count: int) -> Catalogue:
    """Return a catalogue in which the vectors of so many items are a little other than the model's."""
    size = len(ranker.vocabulary)
    ids = np.linspace(1, size, count).astype(np.int32)
    ports = np.arange(size + 1, dtype=np.int32)
    ports[ids] = np.arange(size + 1, size + count + 1)
    vectors = ranker.vectors_of(ids.tolist())
    vectors += np.random.default_rng(0).normal(0.0, 0.1 * vectors.std(), vectors.shape).astype(np.float32)
    return replace(Catalogue.of(ranker.bundle, table), fresh=Fresh(vectors, ids, ports))


def makers(ranker: Ranker, table: ItemTable, args: argparse.Namespace) -> Iterator[tuple[str, ListMaker]]:
    """Yield who makes lists by each policy, and with each number of newer vectors."""
    for name in args.only:
        yield name, ListMaker(ranker, ListsConfig(POLICIES[name]), table)
    for count in args.embedded:
        maker = ListMaker(ranker, ListsConfig(POLICIES["unavailable"]), table)
        maker.take(embedded(ranker, table, count))
        yield f"unavailable, {count:,} embedded", maker


def measure(ranker: Ranker, table: ItemTable, batch: int, args: argparse.Namespace) -> list[Row]:
    """Return a row for each policy, the bare ranker before it."""
    names = ranker.vocabulary.items
    drawn = [sessions(batch, len(names), seed) for seed in range(BATCHES)]
    asked = [[[names[item - 1] for item in session] for session in some] for some in drawn]
    shoppers = [[Shopper.of_clicks(items) for items in some] for some in asked]
    rows = []
    for name, maker in makers(ranker, table, args):
        turns: list[Callable[[int], object]] = [
            lambda n: ranker.rank_items(asked[n], K),
            lambda n, maker=maker: maker.make(shoppers[n]),  # type: ignore[misc]
        ]
        bare, made = in_turns(turns, args.seconds)
        rows.append(
            {
                "batch": batch,
                "policy": name,
                "bare_ms": round(1e3 * bare, 3),
                "ms": round(1e3 * made, 3),
                "ratio": round(made / bare, 2),
                "again": round(maker.counts.again / max(1, maker.counts.lists), 3),
                "change_ms": round(1e3 * change(maker, table, shoppers[0]), 1),
            }
        )
    return rows


def in_turns(calls: list[Callable[[int], object]], seconds: float) -> list[float]:
    """Return the median seconds of each call, made one after the other so that both see the same machine."""
    took: list[list[float]] = [[] for _ in calls]
    while len(took[0]) < BATCHES or sum(map(sum, took)) < seconds:
        for call, times in zip(calls, took, strict=True):
            began = time.perf_counter()
            call(len(times) % BATCHES)
            times.append(time.perf_counter() - began)
    return [statistics.median(times[BATCHES // 2 :]) for times in took]


def change(maker: ListMaker, table: ItemTable, shoppers: list[Shopper]) -> float:
    """Return the seconds from an item's switch to the first lists without it, less what such lists take anyway."""
    before = time.perf_counter()
    listed = maker.make(shoppers[:1])[0][0].items
    usual = time.perf_counter() - before
    if not listed:
        return 0.0
    best = listed[0][0]
    item = table.get(best)
    assert item is not None
    began = time.perf_counter()
    table.put(Item(best, available=False, attributes=item.attributes))
    found = maker.make(shoppers[:1])[0][0].items
    took = time.perf_counter() - began - usual
    assert not maker.config.placements[0].policy.unavailable or best not in dict(found)
    table.put(item)
    return max(took, 0.0)


def shown(rows: list[Row], title: str) -> Table:
    """Return the rows as a table for people."""
    found = Table(title=title)
    for column in rows[0]:
        found.add_column(column, justify="left" if column == "policy" else "right")
    for row in rows:
        found.add_row(*map(str, row.values()))
    return found


if __name__ == "__main__":
    main()
