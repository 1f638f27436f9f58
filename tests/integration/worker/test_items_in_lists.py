"""What the topic `items` says is in force in two seconds; new items are in the lists, without a new model."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.rig.clients import Lists, Storefront
from bench.rig.workers import cli
from export.items.item import Item
from export.registry.registry import Registry
from stream.kafka.sender import Sender
from stream.messages.contract import Recommendation
from stream.messages.items import encode_item, item_key
from stream.topic_names import Topics
from tests.integration.conftest import PARTITIONS, StartWorker
from tests.model.items import tiny_items
from tests.model.test_training_run import published, request

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

IN_FORCE_S = 2.0


class Shop:
    """Says what is known of items, and asks for lists one click at a time."""

    def __init__(self, bootstrap: str, names: Topics, storefront: Storefront, lists: Lists) -> None:
        self._bootstrap, self._topic, self._storefront, self._lists = bootstrap, names.items, storefront, lists
        self._sessions = itertools.count()

    def say(self, *items: Item) -> None:
        with Sender(self._bootstrap, self._topic) as sender:
            for item in items:
                sender.send(item_key(item.item_id), encode_item(item))
            sender.finish()

    def ask(self, item: str) -> dict[str, Recommendation]:
        """The lists of a new session that clicked one item, by placement."""
        session = f"asks-{next(self._sessions)}"
        begun = len(self._lists.all)
        self._storefront.click(session, item)
        self._storefront.flush()
        self._lists.await_answers(self._storefront.sent)
        return {one.placement: one for one in self._lists.all[begun:] if one.session_id == session}

    def eventually(self, item: str, holds: Callable[[dict[str, Recommendation]], bool], deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        while not holds(found := self.ask(item)):
            assert time.monotonic() < end, f"still so after {deadline_s} s: {found}"


@pytest.fixture
def shop(topics: str, names: Topics, storefront: Storefront, lists: Lists) -> Shop:
    return Shop(topics, names, storefront, lists)


def shown(one: Recommendation) -> list[str]:
    return [item.item_id for item in one.items]


def score_of(item: str, lists: dict[str, Recommendation]) -> float:
    return next((one.score for one in lists[""].items if one.item_id == item), -math.inf)


def test_switches_and_a_changed_policy_are_in_force_in_every_list(
    topics: str, shop: Shop, start_worker: StartWorker, tmp_path: Path
) -> None:
    policy = tmp_path / "lists.toml"
    policy.write_text('[placements.home]\nk = 10\n[placements.same]\nk = 5\nfilter = {same = "brand"}\n')
    shop.say(*(Item(f"item-{n}", attributes={"brand": (f"b{n % 10}",)}) for n in range(1, 201)))
    worker = start_worker(topics, "--policy", str(policy))
    worker.await_ready(PARTITIONS)
    first = shop.ask("item-7")
    assert list(first) == ["home", "same"]
    assert [len(one.items) for one in first.values()] == [10, 5]
    assert {int(item.split("-")[1]) % 10 for item in shown(first["same"])} == {7}
    gone = shown(first["same"])[0]
    shop.say(Item(gone, available=False, attributes={"brand": ("b7",)}))
    time.sleep(IN_FORCE_S)
    second = shop.ask("item-7")
    assert all(gone not in shown(one) for one in second.values())
    assert [len(one.items) for one in second.values()] == [10, 5]
    stranger = shop.ask("nobody-sells-this")
    assert all(one.fallback and gone not in shown(one) for one in stranger.values())
    policy.write_text("[placements.home]\nk = 3\nunavailable = false\n")
    shop.eventually("item-7", lambda found: list(found) == ["home"], 10)
    assert shown(shop.ask("item-7")["home"]) == shown(first["home"])[:3]
    policy.write_text("[placements.home]\nk = 0\n")
    worker.await_log("lists stay as they were", 10)
    assert shown(shop.ask("item-7")["home"]) == shown(first["home"])[:3]


def test_a_new_item_is_listed_and_understood_without_a_new_model(
    topics: str, shop: Shop, start_worker: StartWorker, registry: Registry, tmp_path: Path, naming: tuple[str, ...]
) -> None:
    known = tiny_items(40)
    attributes = [[text for values in item.attributes.values() for text in values] for item in known]
    pq.write_table(
        pa.table({"item_id": [item.item_id for item in known], "attributes": attributes}), tmp_path / "items"
    )
    published(request(tmp_path, items=tmp_path / "items"))  # into the test's registry
    newest = registry.versions()[-1]
    promoted = cli("models", "promote", newest, "--registry", str(registry.url), "--bootstrap-servers", topics, *naming)
    assert promoted.returncode == 0, promoted.stderr
    worker = start_worker(topics, "--k", "40")
    worker.await_ready(PARTITIONS)
    worker.await_model(newest)
    assert shop.ask("brand-new")[""].fallback
    shop.say(Item("brand-new", attributes={"attributes": tuple(attributes[0])}))
    shop.eventually("brand-new", lambda found: not found[""].fallback, 10)
    assert "brand-new" in shown(shop.ask("item-1")[""])
    shop.say(Item("brand-new", available=False, attributes={"attributes": tuple(attributes[0])}))
    time.sleep(IN_FORCE_S)
    assert "brand-new" not in shown(shop.ask("item-1")[""])
    assert worker.metric("nextclick_items_newer") == 1
    before = score_of("item-2", shop.ask("item-1"))
    shop.say(Item("item-2", attributes={"attributes": tuple(attributes[1])}))  # as it was
    shop.say(Item("item-2", attributes={"attributes": ("something", "else")}))  # which the model was not trained on
    shop.eventually("item-1", lambda found: score_of("item-2", found) != before, 10)
    assert worker.metric("nextclick_items_changed") == 1
    shop.say(Item("item-2", attributes={"attributes": tuple(attributes[1])}))
    shop.eventually("item-1", lambda found: score_of("item-2", found) == before, 10)
    assert shop.ask("item-1")[""].model == newest
