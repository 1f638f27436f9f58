"""What a table of many items costs: memory, building, a model's view of it, changes, and restoring it from the topic.

    python -m bench.costs.items [--items N] [--vocabulary V] [--broker] [--json]

The items have a category path of three levels, a brand, two colours, a price and a time. Memory is resident memory of
this process (MB), measured around each step. `view_s` is what a model that is put into service waits for, `refresh_ms`
what a ranking run pays after so many changes, `*_first_ms` what the first question for an attribute costs. With a
broker, the topic is filled, and restored by the follower that workers run, in a process that has done nothing else:
`restored_mb` is what that adds to its memory, `restored_peak_mb` what it added at most.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np

from bench.measure.cluster import broker
from export.bundle.vocabulary import Vocabulary
from export.items.item import Item
from export.items.json_items import encode_item
from export.items.table import ItemTable
from export.items.view import CatalogueView
from stream.items.follower import ItemsFollower
from stream.items.load import send_items
from stream.kafka.topics import create_topics
from stream.messages.items import decode_item_message

CHANGES = (1, 100, 10_000)
ROUNDS = 5
BATCH = 256


def make_items(count: int, seed: int = 0) -> Iterator[Item]:
    """Items of a large shop."""
    draw = np.random.default_rng(seed)
    categories, brands, colours = (
        draw.integers(0, [20, 15, 12], (count, 3)),
        draw.zipf(1.3, count),
        draw.integers(0, 30, (count, 2)),
    )
    for number, (a, b, c) in enumerate(categories.tolist()):
        yield Item(
            f"item-{number:07d}",
            number % 20 != 0,
            {
                "category_path": (f"c{a}/c{a}-{b}/c{a}-{b}-{c}",),
                "brand": (f"brand-{min(int(brands[number]), 50_000)}",),
                "colour": tuple(dict.fromkeys(f"colour-{one}" for one in colours[number].tolist())),
            },
            round(1 + number % 20_000 / 100, 2),
            1.0 if number % 10 else 1.5,
            1_700_000_000_000 + number,
        )


def rss_mb() -> float:
    """Resident memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def table_figures(count: int, vocabulary_size: int) -> dict[str, Any]:
    """Figures without a broker."""
    messages = [(item.item_id.encode(), encode_item(item)) for item in make_items(count)]
    before, begun = rss_mb(), time.perf_counter()
    table = ItemTable()
    for start in range(0, count, BATCH):
        found = [decode_item_message(value, key) for key, value in messages[start : start + BATCH]]
        table.put_all([item for item in found if isinstance(item, Item)])
    seconds = time.perf_counter() - begun
    figures: dict[str, Any] = {
        "items": len(table),
        "values": len(table.values),
        "table_mb": round(rss_mb() - before, 1),
        "decoded_and_put_per_s": round(count / seconds),
    }
    step = max(1, count // vocabulary_size)
    vocabulary = Vocabulary(item_id for item_id in table.ids(0, count)[::step][:vocabulary_size])
    before, begun = rss_mb(), time.perf_counter()
    view = CatalogueView(table, vocabulary)
    figures |= {"vocabulary": len(vocabulary), "view_s": round(time.perf_counter() - begun, 3)}
    for attribute in ("category_path", "brand", "colour"):
        begun = time.perf_counter()
        view.codes(attribute)
        view.holders(attribute, 0)
        figures[f"{attribute}_first_ms"] = round((time.perf_counter() - begun) * 1000, 1)
    figures["view_mb"] = round(rss_mb() - before, 1)
    return figures | {"refresh_ms": refreshes(table, view), "nothing_changed_us": idle(view)}


def refreshes(table: ItemTable, view: CatalogueView) -> dict[str, float]:
    """Median time (ms) of a refresh after so many changes of availability and brand."""
    found = {}
    ids = table.ids(0, len(table))
    draw = np.random.default_rng(1)
    for count in CHANGES:
        times = []
        for turn in range(ROUNDS):
            for place in draw.integers(0, len(ids), count).tolist():
                item = table.get(ids[place])
                assert item is not None
                attributes = {**item.attributes, "brand": (f"brand-{turn}",)}
                table.put(Item(item.item_id, not item.available, attributes, item.price, item.boost, item.created_ts))
            begun = time.perf_counter()
            view.refresh()
            view.holders("brand", 0)
            times.append((time.perf_counter() - begun) * 1000)
        found[str(count)] = round(median(times), 3)
    return found


def idle(view: CatalogueView) -> float:
    """Time (us) of a refresh when nothing changed."""
    begun = time.perf_counter()
    for _ in range(10_000):
        view.refresh()
    return round((time.perf_counter() - begun) * 100, 2)


def filled(bootstrap: str, count: int) -> dict[str, Any]:
    """Seconds to send all items, and what restoring them in a fresh process takes."""
    create_topics(bootstrap, partitions=1, group="items")
    begun = time.perf_counter()
    send_items(make_items(count), [], bootstrap)
    sent = time.perf_counter() - begun
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return {"sent_s": round(sent, 2), **fresh.submit(restored, bootstrap, count).result()}


def restored(bootstrap: str, count: int) -> dict[str, Any]:
    """Seconds and memory to restore so many items as a worker does; seconds until a change is known."""
    before, begun = rss_mb(), time.perf_counter()
    follower = ItemsFollower(bootstrap, "items", max_items=2 * count)
    follower.start()
    if not follower.restored.wait(600):
        raise RuntimeError("the items were not restored within 600 s")
    found = {
        "restored_s": round(time.perf_counter() - begun, 2),
        "restored": len(follower.table),
        "restored_mb": round(rss_mb() - before, 1),
        "restored_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 - before, 1),
    }
    late = []
    for turn in range(20):
        begun = time.perf_counter()
        send_items([Item("item-0000001", price=float(turn))], [], bootstrap)
        while (item := follower.table.get("item-0000001")) is None or item.price != turn:
            time.sleep(0.001)
        late.append(time.perf_counter() - begun)
    follower.stop()
    return found | {"change_s": {"median": round(median(late), 3), "worst": round(max(late), 3)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--vocabulary", type=int, default=1_000_000, help="items of the model")
    parser.add_argument("--broker", action="store_true", help="also fill the topic and restore it")
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = table_figures(args.items, args.vocabulary)
    if args.broker or args.bootstrap_servers:
        with broker(args.bootstrap_servers) as bootstrap:
            result |= filled(bootstrap, args.items)
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
