"""A worker that cannot serve does not answer: it ends with exit code 2, or says what answers in the model's place."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Lists, Storefront
from bench.rig.toy import toy_bundle
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.messages.announcements import announce, announcement_for
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, K_MAX, PARTITIONS, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]


def committed(bootstrap: str, group: str) -> int:
    """How many partitions of the clicks have an offset that the group committed."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    offsets = consumer.committed([TopicPartition("clicks", number) for number in range(PARTITIONS)], timeout=10)
    consumer.close()
    return sum(partition.offset >= 0 for partition in offsets)


def await_end(worker: Worker) -> int:
    wait_for("the worker to end", lambda: worker.process.poll() is not None, 60)
    return int(worker.process.returncode)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--provider", "cuda"), r"CUDA provider can't run here"),
        (("--k", str(K_MAX + 1)), rf"k is {K_MAX + 1}; model 1 returns lists of 1 to {K_MAX}: start .* --k {K_MAX}"),
        (("--variant", "a b"), r"'a b' is no name of a variant"),
        (("--group", "a b"), r"'a b' is no name of a group"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_worker_that_its_settings_forbid_to_serve_ends_with_2_and_takes_no_click(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    group: str,
    options: tuple[str, str],
    words: str,
) -> None:
    if options[1] == "cuda":
        onnxruntime = pytest.importorskip("onnxruntime")
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this ONNX Runtime has the CUDA provider")
    storefront.click("shopper", "item-3")
    storefront.flush()
    worker = start_worker(topics, *options)
    assert await_end(worker) == 2
    said = worker.log.read_text()
    assert re.search(words, " ".join(said.split()))
    assert "Traceback" not in said
    assert committed(topics, group) == 0
    assert lists.all == []
    fit = start_worker(topics)
    fit.await_ready()
    lists.await_answers(storefront.sent)
    assert len(lists.last["shopper"].items) == 20


@pytest.mark.usefixtures("real_starts")
def test_model_promoted_with_lists_too_short_for_the_worker_leaves_the_current_in_service(
    topics: str,
    names: Topics,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    tmp_path: Path,
) -> None:
    short = registry.publish(toy_bundle(tmp_path / "short", items=ITEMS, k_max=5).path)
    worker = start_worker(topics)
    worker.await_ready()
    announce(topics, announcement_for(registry, short), topic=names.models)
    worker.await_log(rf"model {short} refused: k is 20; .* 1 to 5.*model 1 stays in service")
    wait_for(  # the log has the line a moment earlier
        "the reason in /health",
        lambda: any(f"model {short} refused" in one and "--k 5" in one for one in worker.health().get("reasons", ())),
    )
    health = worker.health()
    assert (health["ready"], health["serving"], health["model"]) == (True, "model", "1")
    assert worker.metric("nextclick_problem", key="model_refused") == 1
    storefront.click("shopper", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    assert (lists.last["shopper"].model, len(lists.last["shopper"].items)) == ("1", 20)


def test_first_model_too_short_for_a_worker_that_waits_for_one_answers_by_its_popular_items(
    topics: str, storefront: Storefront, lists: Lists, start_worker: StartWorker, registry: Registry, tmp_path: Path
) -> None:
    for name in ("1", "2", "live"):
        shutil.rmtree(Path(registry.url) / name)
    worker = start_worker(topics)
    wait_for("a worker without a model", lambda: worker.health().get("serving") == "empty lists", 45)
    version = registry.publish(toy_bundle(tmp_path / "short", items=ITEMS, k_max=5).path)
    wait_for("popular items", lambda: worker.health().get("serving") == "popularity", 45)
    storefront.click("shopper", "item-3")
    storefront.flush()
    lists.await_answers(storefront.sent)
    answer = lists.last["shopper"]
    assert (answer.fallback, answer.model) == (True, version)
    assert [item.item_id for item in answer.items] == [f"item-{number}" for number in range(ITEMS, ITEMS - 20, -1)]
    health = worker.health()
    assert (health["ready"], health["model"], health["fallback"]) == (False, None, True)
    assert any("popular items" in reason for reason in health["reasons"])
    assert any("k is 20" in reason for reason in health["reasons"])
