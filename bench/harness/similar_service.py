"""`nextclick similar publish --follow` as a process, on a real broker: what its turns take, and what it is late by."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Tail
from bench.rig.workers import Worker
from export.bundle.bundle import Bundle
from export.bundle.writing import write_bundle
from export.items.item import Item
from export.items.table import ItemTable
from export.registry.registry import Registry
from stream.items.load import send_items
from stream.kafka.topics import create_topics
from stream.topic_names import Topics

__all__ = ["served"]

_PREFIX = "bench-similar."
_DEADLINE_S = 300.0
POLICY = 'filter = {same = "category"}\nat_most = {brand = 2}\n'


class _Published:
    """The newest list of each item on the topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._tail = Tail(bootstrap, topic)
        self.lists: dict[str, list[str]] = {}

    def read(self) -> int:
        """Read on; how many items have a list."""
        for message in self._tail.read(0.05):
            value, key = message.value(), (message.key() or b"").decode()
            self.lists[key] = [] if value is None else [one["item_id"] for one in json.loads(value)["items"]]
        return len(self.lists)

    def holders(self, item: str) -> int:
        return sum(item in found for found in self.lists.values())

    def without(self, item: str) -> bool:
        self.read()
        return not self.holders(item)

    def close(self) -> None:
        self._tail.close()


def served(bootstrap: str, bundle: Bundle, vectors: Path, table: ItemTable, scratch: Path, offs: int) -> dict[str, Any]:
    """Return what the first turn took, and one for changed items; and the seconds from the broker's confirmation that
    an item is switched off until no list holds it, for `offs` items while the service rests and in one of its turns."""
    topics, (registry, policy) = Topics.named(prefix=_PREFIX), (Registry(scratch / "live"), scratch / "lists.toml")
    create_topics(bootstrap, partitions=1, topics=topics)
    send_items(table, [], bootstrap, topics)
    registry.create()
    made = write_bundle(
        scratch / "made",
        onnx_file=bundle.onnx_path,
        vocabulary=bundle.vocabulary,
        popularity=np.asarray(bundle.popularity),
        manifest=bundle.manifest,
        vectors_file=vectors,
    )
    registry.promote(registry.publish(made.path))
    policy.write_text(POLICY)
    port = free_port()
    where = ["--bootstrap-servers", bootstrap, "--topic-prefix", _PREFIX, "--registry", str(scratch / "live")]
    command = ["similar", "publish", "--follow", *where, "--policy", str(policy), "--web-port", str(port)]
    service = Worker.of([sys.executable, "-m", "nextclick", *command], scratch / "similar.log", port)
    published = _Published(bootstrap, topics.similar)
    try:
        service.await_ready(deadline_s=_DEADLINE_S)
        first = service.health()["newest"]["seconds"]
        wait_for("all lists", lambda: published.read() == len(table), _DEADLINE_S)
        resting = [_off(published, table, f"item-{number}", bootstrap, topics) for number in range(offs)]
        wait_for("a turn", lambda: service.health()["late_s"] == 0, _DEADLINE_S, every_s=0.2)
        second = service.health()["newest"]["seconds"]
        busy = []
        for number in range(offs, 2 * offs):
            turns = service.health()["turns"]
            send_items([Item(f"item-{number}", boost=1.1)], [], bootstrap, topics)
            time.sleep(0.5 * second * (number - offs) / offs)  # at different moments of the turn that follows
            busy.append(_off(published, table, f"item-{number}", bootstrap, topics))
            wait_for("the turn", lambda turns=turns: service.health()["turns"] > turns, _DEADLINE_S, every_s=0.2)  # type: ignore[misc]
        return {
            "first_turn_s": round(first, 1),
            "turn_s": round(second, 1),
            "off_s": {"median": round(statistics.median(resting), 2), "worst": round(max(resting), 2)},
            "off_in_a_turn_s": {"median": round(statistics.median(busy), 2), "worst": round(max(busy), 2)},
        }
    finally:
        service.stop()
        published.close()


def _off(published: _Published, table: ItemTable, near: str, bootstrap: str, topics: Topics) -> float:
    """Switch off what is most like an item; the seconds until no list has it."""
    item = next(found for name in (near, *published.lists) for found in published.lists[name][:1])
    known = table.get(item)
    assert known is not None
    send_items([Item(item, available=False, attributes=known.attributes)], [], bootstrap, topics)
    begun = time.monotonic()
    wait_for("that an item is in no list", lambda: published.without(item), _DEADLINE_S, every_s=0.0)
    return time.monotonic() - begun
