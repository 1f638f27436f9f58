"""An item that is switched off is in no list published two seconds later, whatever fails meanwhile.

    python -m bench.switches [--clicks N] [--rate R] [--items V] [--table T] [--fault-every S] [--json]

Two workers on a real broker answer a steady load. All the while items that stand in the newest lists are switched off
through the topic `items`, and on again some seconds later; workers are killed and started again, one is stopped for a
moment, and the broker is frozen. Every list is checked: none holds an item that has been off for two seconds, by the
times of the broker's acknowledgement and of the list's publication, and every one has K items. Ends with 1 otherwise.
`--table`: items on the topic, of which the model knows the first V.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer

from bench.data.shop_items import load_items
from bench.measure.bundles import publish_random
from bench.rig.brokers.base import Broker
from bench.rig.brokers.jvm import JvmBroker
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.kafka.topics import create_topics

K = 20
IN_FORCE_S = 2.0
PARTITIONS = 4
OFF_S = (4.0, 12.0)  # how long an item stays off
EVERY_S = 0.2  # between two switches
FREEZE_S = 4.0
SESSIONS = 500


@dataclass(slots=True)
class Switches:
    """When items were off: by time.time() (s), from the acknowledgement to the moment before it was switched on."""

    off: dict[str, float] = field(default_factory=dict)
    spans: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def late_s(self, item: str, published_s: float) -> float:
        """How long the item had been off when a list with it was published; 0 where it was on."""
        for begin, end in self.spans[item]:
            if begin <= published_s <= end:
                return published_s - begin
        begin = self.off.get(item, published_s)
        return max(0.0, published_s - begin)


class Switcher:
    """Switches items off and on in a thread, until the block ends; then all are on again."""

    def __init__(self, bootstrap: str, lists: Lists, seed: int = 0) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 0})
        self._lists, self._random = lists, random.Random(seed)
        self.switches = Switches()
        self._until: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="switcher", daemon=True)

    def __enter__(self) -> Switcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)
        for item in list(self._until):
            self._on(item)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            now = time.time()
            for item in [item for item, until in self._until.items() if until < now]:
                self._on(item)
            newest = self._lists.all[-50:]
            if newest:
                shown = self._random.choice(newest).items[: K // 2]
                item = self._random.choice(shown).item_id if shown else ""
                if item and item not in self._until:
                    self._off(item)

    def _off(self, item: str) -> None:
        self._send(item, available=False)
        self.switches.off[item] = time.time()
        self.switches.count += 1
        self._until[item] = time.time() + self._random.uniform(*OFF_S)

    def _on(self, item: str) -> None:
        self.switches.spans[item].append((self.switches.off.pop(item), time.time()))
        del self._until[item]
        self._send(item, available=True)

    def _send(self, item: str, *, available: bool) -> None:
        value = json.dumps({"item_id": item, "available": available}).encode()
        self._producer.produce("items", value, item.encode())
        assert self._producer.flush(60) == 0, "the broker did not confirm an item"


@dataclass(slots=True)
class Fleet:
    """Two workers, and what befalls them."""

    broker: Broker
    registry: Path
    folder: Path
    options: tuple[str, ...]
    workers: list[Worker] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    struck: list[tuple[float, str]] = field(default_factory=list)  # by time.time() (s)

    def start(self) -> None:
        self.workers.append(
            Worker(self.broker.bootstrap, self.registry, "workers", self.folder / "worker.log", *self.options)
        )

    def strike(self, number: int) -> None:
        """One fault, in turn."""
        fault = ("kill", "freeze_broker", "pause", "terminate")[number % 4]
        self.faults[fault] += 1
        self.struck.append((time.time(), fault))
        worker = self.workers.pop(0)
        if fault == "freeze_broker":
            self.workers.append(worker)
            self.broker.pause()
            time.sleep(FREEZE_S)
            self.broker.resume()
        elif fault == "pause":
            self.workers.append(worker)
            worker.pause()
            time.sleep(FREEZE_S)
            worker.resume()
        else:
            worker.kill() if fault == "kill" else worker.stop()
            self.start()


def main() -> int:
    args = _parse()
    broker = JvmBroker()
    with tempfile.TemporaryDirectory(prefix="nextclick-switches-") as folder:
        broker.start()
        try:
            found = _run(args, broker, Path(folder))
        finally:
            broker.close()
    print(json.dumps(found, indent=None if args.json else 2))
    return 0 if not found["shown_while_off"] and not found["short"] and not found["unanswered"] else 1


def _run(args: argparse.Namespace, broker: Broker, folder: Path) -> dict[str, object]:
    names = [f"item-{number}" for number in range(1, args.items + 1)]
    registry = folder / "registry"
    publish_random(registry, names, folder / "scratch", name="tron-fast")
    Registry(str(registry)).promote("1")
    create_topics(broker.bootstrap, partitions=PARTITIONS, group="workers")
    load_items(broker.bootstrap, (f"item-{n}" for n in range(1, args.table + 1)), all_available=True)
    fleet = Fleet(broker, registry, folder, ("--k", str(K), "--max-items", str(max(args.table, 1_000) + 1_000)))
    began = time.monotonic()
    fleet.start()
    fleet.start()
    for worker in fleet.workers:
        worker.await_ready(deadline_s=120)
    ready_s = time.monotonic() - began
    lists, storefront = Lists(broker.bootstrap), Storefront(broker.bootstrap)
    reader = _Reader(lists)
    struck = time.monotonic()
    with (
        reader,
        Switcher(broker.bootstrap, lists) as switcher,
        Flow(storefront, rate=args.rate, sessions=SESSIONS, items=args.items),
    ):
        strikes = 0
        while len(storefront.sent) < args.clicks:
            time.sleep(0.2)
            if args.fault_every and time.monotonic() - struck > args.fault_every:
                fleet.strike(strikes)
                strikes, struck = strikes + 1, time.monotonic()
    reader.settle(storefront)
    for worker in fleet.workers:
        worker.stop()
    late = [switcher.switches.late_s(item.item_id, one.published_ts / 1000) for one in lists.all for item in one.items]
    blamed: dict[str, int] = defaultdict(int)
    for one in lists.all:
        if any(switcher.switches.late_s(i.item_id, one.published_ts / 1000) > IN_FORCE_S for i in one.items):
            before = [fault for at, fault in fleet.struck if at <= one.published_ts / 1000]
            blamed[before[-1] if before else "none"] += 1
    answered = {(one.source.partition, one.source.offset) for one in lists.all}
    newest = {
        one.click.session_id: (one.partition, one.offset) for one in sorted(storefront.sent, key=lambda s: s.offset)
    }
    return {
        "clicks": len(storefront.sent),
        "lists": len(lists.all),
        "switched_off": switcher.switches.count,
        "faults": dict(fleet.faults),
        "items_on_the_topic": args.table,
        "two_workers_ready_s": round(ready_s, 1),
        "shown_while_off": sum(one > IN_FORCE_S for one in late),
        "after": dict(blamed),
        "longest_in_force_s": round(max(late, default=0.0), 2),
        "short": sum(len(one.items) < K for one in lists.all),
        "unanswered": sum(place not in answered for place in newest.values()),
    }


class _Reader:
    """Reads all lists in a thread while the block lasts."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> _Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def settle(self, storefront: Storefront) -> None:
        """Return when every session's newest click is answered."""
        self._lists.await_answers(storefront.sent, deadline_s=90)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._lists.poll(0.05)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=500.0, help="clicks a second")
    parser.add_argument("--items", type=int, default=5_000, help="V, that the model knows")
    parser.add_argument("--table", type=int, default=5_000, help="items on the topic")
    parser.add_argument("--fault-every", type=float, default=15.0, help="seconds between faults; 0: none")
    parser.add_argument("--json", action="store_true", help="one line on stdout")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
