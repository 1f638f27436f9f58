"""Models promoted, rolled back and refused while clicks flow."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.oracle import assert_lists, folded
from bench.rig.toy import toy_bundle
from bench.rig.workers import cli
from export.registry.registry import Registry
from stream.messages.announcements import AnnouncementReader, announce, announcement_for
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, K_MAX, StartWorker, truncate
from tests.integration.promises import ranker_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]


ChangeModel = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def change_model(topics: str, registry: Registry, naming: tuple[str, ...]) -> ChangeModel:
    """A command on the registry that tells the workers: `promote VERSION` or `rollback`."""
    there = ("--registry", registry.url, "--bootstrap-servers", topics, *naming)
    return lambda *words: cli("models", *words, *there)


def assert_done(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


@pytest.mark.container
def test_model_promoted_in_full_flow_swaps_and_answers_every_click(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    change_model: ChangeModel,
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    with Flow(storefront, rate=800, sessions=150, items=ITEMS) as flow:
        flow.confirmed(500)
        assert_done(change_model("promote", "2"))
        worker.await_model("2", deadline_s=15)
        flow.confirmed(1500)
    lists.await_answers(storefront.sent)
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, "2"))
    served = [one.model for one in lists.all]
    assert set(served) == {"1", "2"}, "both versions served, no list without a model"
    assert not any(one.fallback for one in lists.all)
    for partition in range(4):
        of_partition = [one.model for one in lists.all if one.source.partition == partition]
        assert of_partition == sorted(of_partition), "once swapped, the old model answers no more"


@pytest.mark.parametrize("items", [ITEMS // 2, 2 * ITEMS])
def test_model_of_a_smaller_or_larger_catalogue_serves_the_sessions_that_are_there(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    tmp_path: Path,
    items: int,
    change_model: ChangeModel,
) -> None:
    version = registry.publish(toy_bundle(tmp_path / "bundle", items=items, k_max=K_MAX, seed=2).path)
    worker = start_worker(topics)
    worker.await_ready()
    with Flow(storefront, rate=600, sessions=100, items=2 * ITEMS) as flow:
        flow.confirmed(500)
        assert_done(change_model("promote", version))
        worker.await_model(version)
        flow.confirmed(1500)
    lists.await_answers(storefront.sent)
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, version))
    known = set(ranker_of(registry, version).vocabulary.items)
    shown = [item.item_id for one in lists.all if one.model == version for item in one.items]
    assert set(shown) <= known, "no list of the new model holds an item that it does not know"


def test_model_rolled_back_is_served_again_and_known_to_the_next_worker(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    change_model: ChangeModel,
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    assert_done(change_model("promote", "2"))
    worker.await_model("2")
    assert_done(change_model("rollback"))
    worker.await_model("1")
    assert worker.stop() == 0
    start_worker(topics).await_model("1")
    storefront.click("shopper", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert lists.last["shopper"].model == "1"


def test_bundle_corrupted_can_not_be_promoted_and_nothing_is_announced(
    topics: str, registry: Registry, names: Topics, change_model: ChangeModel
) -> None:
    truncate(registry.fetch("2") / "model.onnx")
    done = change_model("promote", "2")
    assert done.returncode == 1
    assert "truncated" in done.stderr
    assert registry.live() == "1"
    reader, heard = AnnouncementReader(topics, names.models), []
    while not reader.caught_up:
        heard.append(reader.read(0.2))
    reader.close()
    assert not any(heard)


def test_bundle_corrupted_after_its_promotion_is_refused_and_the_current_model_stays(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, names: Topics
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    truncate(registry.fetch("2") / "model.onnx")
    with Flow(storefront, rate=300, sessions=50, items=ITEMS) as flow:
        flow.confirmed(100)
        announce(topics, announcement_for(registry, "2"), topic=names.models)
        worker.await_log(r"2 refused.*(truncated|has \d+ bytes of)")
        flow.confirmed(300)
    lists.await_answers(storefront.sent)
    assert {one.model for one in lists.all} == {"1"}
    health = worker.health()
    assert health["ready"]
    assert health["model"] == "1"
    assert any("model 2 refused" in reason for reason in health["reasons"])
    assert worker.metric("nextclick_model_failures_total", reason="truncated") >= 1


def test_registry_empty_worker_answers_by_empty_fallback_until_a_bundle_appears(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, staged: list[Path]
) -> None:
    for name in ("1", "2", "live"):
        shutil.rmtree(Path(registry.url) / name)
    worker = start_worker(topics)
    storefront.click("shopper", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert lists.last["shopper"].fallback
    assert not lists.last["shopper"].items
    assert worker.health()["ready"] is False
    version = registry.publish(staged[0])
    worker.await_ready()
    storefront.click("shopper", "item-4")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert_lists(lists.last, folded(storefront.sent), ranker_of(registry, version))


def test_registry_missing_worker_ends_with_a_clear_error(
    topics: str, start_worker: StartWorker, registry: Registry
) -> None:
    shutil.rmtree(registry.url)
    worker = start_worker(topics)
    wait_for("the worker to end", lambda: worker.process.poll() is not None, 30)
    assert worker.process.returncode == 1
    assert "there is no registry at" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()
