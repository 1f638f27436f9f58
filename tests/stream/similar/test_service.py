"""Tests of stream/similar/service.py: when lists are made anew, what of them, and what is told."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

from bench.rig.object_store import ObjectStore
from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle, load_bundle
from export.errors import ConfigError
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.one_list import OneList
from export.policy.similar import SimilarList, SimilarLists
from export.registry.registry import Registry
from stream.errors import PublishFailed
from stream.similar.publisher import Published, SimilarPublisher
from stream.similar.service import SimilarService
from tests.export.ranking.test_similar import with_vectors

Eventually = Callable[[Callable[[], bool], str], None]


class Recorded(SimilarPublisher):
    """Keeps what it was to publish; fails where it is told to."""

    def __init__(self) -> None:
        self.held: dict[str, SimilarList] = {}
        self.turns: list[tuple[str, int | None]] = []  # model, and how many lists; None: all
        self.fails = 0
        self.error: Exception = PublishFailed("no")
        self.then: Callable[[], object] = lambda: None  # called once, after something was published
        self._published, self._redis_has_all = None, True

    def publish(self, lists: SimilarLists, only: NDArray[np.int32] | None = None) -> Published:
        self._published = None
        if self.fails:
            self.fails -= 1
            raise self.error
        made = dict(lists.all() if only is None else lists.some(only))
        sent = sum(self.held.get(name) != found for name, found in made.items())
        self.held |= made
        self._published = {}
        self.turns.append((lists.version, None if only is None else len(only)))
        then, self.then = self.then, lambda: None
        then()
        rest = {"short": 0, "filled": 0, "unfiltered": 0, "hidden": lists.counts.hidden}
        return Published(model=lists.version, items=len(made), sent=sent, gone=0, seconds=0.0, **rest)

    def holders(self, item: str) -> set[str]:
        return {name for name, found in self.held.items() if item in dict(found)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy_bundle(tmp_path_factory.mktemp("plain") / "bundle", items=40)


@pytest.fixture
def registry(plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Versions 1 and 2 have vectors, 3 has none."""
    monkeypatch.setattr("export.registry.registry._try_out", lambda directory, _version: load_bundle(directory))
    monkeypatch.setattr("stream.similar.service._LOOK_S", 0.02)
    monkeypatch.setattr("stream.similar.service._BACKOFF_S", (0.02, 0.05))
    registry = Registry(tmp_path / "registry")
    registry.create()
    bundle = with_vectors(plain, tmp_path)
    for path in (bundle.path, bundle.path, plain.path):
        registry.publish(path)
    return registry


@contextmanager
def running(service: SimilarService) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=service.run, args=(stopped,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(10)


def test_service_publishes_with_each_model_and_with_changed_items_and_tries_again(
    registry: Registry, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    publisher, table = Recorded(), ItemTable()
    publisher.fails = 1
    service = SimilarService(publisher, registry, "default", table, refresh_s=0.05)
    with running(service):
        eventually(lambda: "no model is live" in str(service.health().reasons), "that there is no model")
        assert not service.health().ready
        registry.promote("1")
        eventually(lambda: publisher.turns == [("1", None)], "the first model, after a failure")
        table.put(Item("item-1", boost=2.0))
        eventually(lambda: publisher.turns[1:] == [("1", None)], "the items")
        registry.promote("2")
        eventually(lambda: publisher.turns[2:] == [("2", None)], "the second model")
        registry.promote("3")
        eventually(lambda: "has no vectors" in caplog.text, "the refusal")
        table.put(Item("item-2", boost=2.0))
        eventually(lambda: publisher.turns[3:] == [("2", None)], "that the one before goes on")
        eventually(lambda: service.health().late_s == 0, "that nothing is late")
        health = service.health()
    assert (health.ready, health.model, health.turns, health.failures) == (True, "2", 4, 1)
    assert any("has no vectors" in reason for reason in health.reasons)
    assert health.age_s is not None


def test_item_switched_off_leaves_the_lists_that_hold_it_before_the_next_turn(registry: Registry) -> None:
    publisher, table = Recorded(), ItemTable()
    registry.promote("1")
    service = SimilarService(publisher, registry, "default", table, OneList(k=5), refresh_s=3600.0)
    service.look()
    best = publisher.held["item-1"][0][0]
    holders, others = publisher.holders(best), dict(publisher.held)
    table.put(Item(best, available=False))
    table.put(Item("item-9", boost=1e6))
    service.look()
    assert publisher.turns == [("1", None), ("1", len(holders))]
    assert publisher.holders(best) == set()
    assert {name for name, found in publisher.held.items() if found != others[name]} == holders
    assert service.health().late_s > 0, "the boost waits for the next turn"
    second = publisher.held["item-1"][0][0]
    table.remove(second)
    assert service._view is not None
    service._view.refresh()  # as a column does by itself, where rows of the table got other numbers
    publisher.fails = 1
    with pytest.raises(PublishFailed):
        service.look()
    service.look()
    assert publisher.turns[2:] == [("1", None)], "what failed is followed by a whole turn"
    assert publisher.holders(second) == set()
    assert service.health().late_s == 0


def test_item_switched_off_in_a_turn_does_not_wait_for_its_end(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.similar.service._PART", 41 * 15)
    publisher, table = Recorded(), ItemTable()
    registry.promote("1")
    service = SimilarService(publisher, registry, "default", table, OneList(k=5), refresh_s=0.0)
    service.look()
    best = publisher.held["item-2"][0][0]
    holders = 0

    def switch_off() -> None:
        nonlocal holders
        holders = len(publisher.holders(best))
        table.put(Item(best, available=False))

    publisher.then = switch_off
    table.put(Item("item-9", boost=2.0))
    service.look()
    assert publisher.turns == [("1", None), ("1", 15), ("1", holders), ("1", 15), ("1", 10)]
    assert publisher.holders(best) == set()
    health = service.health()
    assert health.newest is not None
    assert (health.turns, health.newest.items) == (2, 40)
    service.look()
    assert publisher.turns[5:] == [("1", 15), ("1", 15), ("1", 10)], "what changed in the turn has a turn of its own"
    publisher.then = service._stop.set
    table.put(Item("item-9", boost=3.0))
    service.look()
    assert publisher.turns[8:] == [("1", 15)], "it ends without waiting"


def test_policy_is_followed_and_a_file_that_can_not_be_used_changes_nothing(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, publisher, table = tmp_path / "lists.toml", Recorded(), ItemTable()
    file.write_text('[placements.page]\nk = 4\nblocked = ["item-3"]\npins = [{item = "item-5"}]\n')
    with pytest.raises(ConfigError, match="names no placement 'home'"):
        SimilarService(publisher, registry, "default", table, OneList(file=file, placement="home"))
    registry.promote("1")
    service = SimilarService(publisher, registry, "default", table, OneList(file=file, placement="page"))
    service.look()
    assert publisher.holders("item-3") == set()
    assert len(publisher.holders("item-5")) == 39
    assert {len(found) for found in publisher.held.values()} == {4}
    file.write_text('[placements.page]\nk = 6\nblocked = ["NULL"]\n')
    service.look()
    service.look()  # a file that stays as it is
    assert publisher.turns == [("1", None)]
    assert "'NULL' is no item id" in str(service.health().reasons)
    file.write_text('[placements.page]\nk = 6\nexclude = ["seen"]\nat_most = {brand = 1}\nblocked = ["x"]\n')
    service.look()
    service.look()
    assert {len(found) for found in publisher.held.values()} == {6}
    assert publisher.holders("item-3")
    assert "nothing for similar items: exclude (seen), push" in caplog.text
    assert "does not know 1 of the 1 blocked items, such as 'x'" in caplog.text
    table.put(Item("item-1", attributes={"colour": ("red",)}))
    service.look()
    assert "what no item has: brand" in str(service.health().reasons)
    assert service.health().placement == "page"


def test_health_and_metrics_are_served(registry: Registry) -> None:
    publisher, table = Recorded(), ItemTable()
    service = SimilarService(publisher, registry, "default", table)
    web = service.web("127.0.0.1", 0)
    port = asyncio.run(web.start())

    def asked(path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    try:
        assert asked("health")[0] == 503
        registry.promote("1")
        table.put(Item("item-1", available=False))
        service.look()
        status, content = asked("health")
        found: dict[str, Any] = json.loads(content)
        assert status == 200
        assert (found["model"], found["turns"], found["lists"], found["newest"]["hidden"]) == ("1", 1, 40, 1)
        text = asked("metrics")[1].decode()
        for line in ("turns_total 1.0", "lists_total 40.0", "items 40.0", "hidden 1.0", "late_seconds 0.0"):
            assert f"nextclick_similar_{line}" in text
        assert "nextclick_items_refused_total" in text
    finally:
        asyncio.run(web.stop())


def test_seconds_below_zero_between_turns_are_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="--refresh-s must be 0 seconds or more, not -1"):
        SimilarService(Recorded(), registry, "default", ItemTable(), refresh_s=-1.0)


def test_what_nobody_thought_of_is_told_and_ends_nothing(
    registry: Registry, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Recorded()
    publisher.fails, publisher.error = 3, ZeroDivisionError("by none")
    service = SimilarService(publisher, registry, "default", ItemTable(), refresh_s=0.05)
    registry.promote("1")
    with running(service):
        eventually(lambda: "by none" in str(service.health().reasons) or bool(publisher.turns), "that it is told")
        eventually(lambda: publisher.turns == [("1", None)], "the next try")
    assert "Traceback" in caplog.text
    assert service.health().failures == 3


def test_registry_that_is_away_leaves_the_lists_and_says_what_helps(registry: Registry, tmp_path: Path) -> None:
    registry.promote("1")
    (tmp_path / "registry" / ".nextclick-registry").touch()
    store = ObjectStore(tmp_path)
    remote = Registry(f"{store.url}/registry", cache=tmp_path / "cache")
    service = SimilarService(Recorded(), remote, "default", ItemTable())
    service.look()
    for status, helps in ((403, "credentials"), (503, "endpoint")):
        store.status = status
        service.look()
        [reason] = service.health().reasons
        assert "the registry can't be asked, lists stay those of model 1" in reason
        assert helps in reason
    assert service.health().ready
    store.status = 0
    (tmp_path / "registry").rename(tmp_path / "elsewhere")
    service.look()
    assert "mounted" in service.health().reasons[0]
    (tmp_path / "elsewhere").rename(tmp_path / "registry")
    service.look()
    assert service.health().reasons == []
    store.stop()
    service.look()
    assert "endpoint" in service.health().reasons[0]
    assert service.metrics.registry.get_sample_value("nextclick_similar_problem", {"key": "registry"}) == 1
