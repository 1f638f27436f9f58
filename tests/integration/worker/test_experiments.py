"""Experiments started, stopped and promoted while clicks flow: each session has its variant's list, crash or not."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from bench.rig.brokers.process import wait_for
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.oracle import assert_drafted, assert_lists, assert_same_order, folded
from bench.rig.workers import Worker, cli
from export.experiments.experiment import INTERLEAVED, Experiment
from export.registry.registry import Registry
from stream.config import Guarantee
from stream.experiments.lifecycle import Announced
from stream.messages.announcements import announce_experiment
from stream.messages.contract import Recommendation
from stream.partition.session import ranking_items
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, StartWorker, truncate
from tests.integration.promises import GUARANTEES, Promise, ranker_of, repeated

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

TWO = ("--variant", "control=1:50", "--variant", "challenger=2:50")
VERSIONS = {"control": "1", "challenger": "2"}

Command = Callable[..., dict[str, object]]


@pytest.fixture
def experiment(topics: str, registry: Registry, naming: tuple[str, ...]) -> Command:
    """`nextclick experiment …`, which must succeed; its line of JSON."""

    def run(*words: str) -> dict[str, object]:
        there = () if words[0] in ("status", "list") else ("--registry", registry.url)
        done: subprocess.CompletedProcess[str] = cli(
            "experiment", *words, *there, "--bootstrap-servers", topics, *naming, "--json"
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return run


@pytest.fixture
def announced(topics: str, names: Topics) -> Callable[[], Experiment]:
    """The experiment `new` as it was announced last."""
    return lambda: Announced(topics, names).read()["new"]


def await_in_force(*workers: Worker, running: bool = True) -> None:
    """Return when all workers have the experiment in force, or none."""

    def settled() -> bool:
        told = [[one["in_force"] for one in worker.health().get("experiments", ())] for worker in workers]
        return told == [[True] if running else []] * len(workers)

    wait_for(f"the experiment to be {'in force' if running else 'over'}", settled, 30, every_s=0.05)


def assert_labels(lists: Iterable[Recommendation], experiment: Experiment) -> None:
    """Every list says the variant that the hash says, and is by its model; those who take no part have the live one."""
    for found in lists:
        variant = experiment.variant_of(found.session_id)
        expected = ("new", variant.name, VERSIONS[variant.name]) if variant else ("", "default", "1")
        assert (found.experiment, found.variant, found.model) == expected, found.session_id


@pytest.mark.container
def test_experiment_started_under_traffic_serves_each_session_its_variant_and_ends_with_a_promotion(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    experiment: Command,
    announced: Callable[[], Experiment],
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    with Flow(storefront, rate=500, sessions=600, items=ITEMS) as flow:
        flow.confirmed(300)
        experiment("start", "new", *TWO, "--exposure", "80")
        await_in_force(worker)
        flow.confirmed(1)
        lists.await_answers(storefront.sent)
        known = len(lists.all)
        flow.confirmed(1500)
        lists.await_answers(storefront.sent)
        running = announced()
        assert_labels(lists.all[known:], running)
        shown = {one.session_id: one.variant for one in lists.all[known:]}
        assert len(shown) == 600
        shares = Counter(shown.values())
        assert 0.8 * 600 * 0.4 < shares["control"] < 0.8 * 600 * 0.6, "five standard deviations are 0.09"
        assert 0.7 * 600 < shares["control"] + shares["challenger"] < 0.9 * 600
        assert worker.metric("nextclick_variant_lists_total", experiment="new", variant="challenger") > 0
        assert worker.metric("nextclick_variant_served", variant="challenger") == 1

        told = experiment("stop", "new", "--promote", "challenger")
        assert told["promoted"] == "2"
        await_in_force(worker, running=False)
        worker.await_model("2")
        flow.confirmed(1)
        lists.await_answers(storefront.sent)
        known = len(lists.all)
        flow.confirmed(500)
    lists.await_answers(storefront.sent)
    assert {(one.experiment, one.variant, one.model) for one in lists.all[known:]} == {("", "default", "2")}
    assert not any(one.fallback for one in lists.all), "no list waited for a model, or went without"
    assert registry.live() == "2"


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_experiment_over_the_kill_of_a_worker_loses_nothing_and_every_session_keeps_its_variant(
    guarantee: Guarantee,
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    promise: Promise,
    experiment: Command,
    announced: Callable[[], Experiment],
) -> None:
    experiment("start", "new", *TWO, "--exposure", "80")
    running = announced()
    first, second = (start_worker(topics, *promise.options) for _ in range(2))
    first.await_ready(partitions=2, deadline_s=60)
    second.await_ready(partitions=2, deadline_s=60)
    with Flow(storefront, rate=300, sessions=200, items=ITEMS) as flow:
        flow.confirmed(500)
        first.kill()
        flow.confirmed(500)
        start_worker(topics, *promise.options).await_ready(deadline_s=60)
        flow.confirmed(500)
    lists.await_answers(storefront.sent, deadline_s=60)
    lists.read_on()
    assert_labels(lists.all, running)
    if guarantee == "exactly-once":
        assert repeated(lists.all) == []
    by_place: dict[tuple[int, int], Recommendation] = {}
    for found in lists.all:
        before = by_place.setdefault((found.source.partition, found.source.offset), found)
        assert before.variant == found.variant
        assert_same_order(*([(item.item_id, item.score) for item in one.items] for one in (before, found)))
    states = folded(storefront.sent)
    for name, version in (("control", "1"), ("challenger", "2"), (None, "1")):
        mine = {s for s in states if (v.name if (v := running.variant_of(s)) else None) == name}
        assert mine
        assert_lists({s: lists.last[s] for s in mine}, {s: states[s] for s in mine}, ranker_of(registry, version))


def test_interleaved_lists_are_drafted_from_both_models(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    experiment: Command,
) -> None:
    experiment("start", "new", *TWO, "--interleave")
    worker = start_worker(topics)
    worker.await_ready()
    with Flow(storefront, rate=300, sessions=100, items=ITEMS) as flow:
        flow.confirmed(500)
    lists.await_answers(storefront.sent)
    states, rankers = folded(storefront.sent), [ranker_of(registry, version) for version in ("1", "2")]
    for name, state in states.items():
        found = lists.last[name]
        assert (found.experiment, found.variant, found.model) == ("new", INTERLEAVED, "1+2")
        first, second = (ranker.rank_items([ranking_items(state)], 20)[0].items for ranker in rankers)
        assert_drafted(found, {"control": first, "challenger": second})
    assert worker.metric("nextclick_variant_lists_total", experiment="new", variant=INTERLEAVED) > 0


def test_variant_whose_bundle_is_damaged_is_answered_by_the_live_model_and_said(
    topics: str,
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    registry: Registry,
    names: Topics,
    experiment: Command,
    announced: Callable[[], Experiment],
) -> None:
    worker = start_worker(topics)
    worker.await_ready()
    experiment("start", "new", *TWO)
    await_in_force(worker)
    experiment("stop", "new")
    await_in_force(worker, running=False)
    truncate(registry.fetch("2") / "model.onnx")
    stopped = announced()
    again = Experiment("new", stopped.variants, started_ts=stopped.started_ts + 1)
    announce_experiment(topics, again, topic=names.models)
    worker.await_log(r"variant challenger \(version 2\) is not served")
    await_in_force(worker)
    with Flow(storefront, rate=300, sessions=100, items=ITEMS) as flow:
        flow.confirmed(300)
    lists.await_answers(storefront.sent)
    for found in lists.all:
        variant = again.variant_of(found.session_id)
        assert variant is not None
        expected = ("new", "control") if variant.name == "control" else ("", "default")
        assert (found.experiment, found.variant, found.model) == (*expected, "1")
    health = worker.health()
    assert health["ready"]
    assert {one["variant"]: one["state"] for one in health["experiments"][0]["variants"]} == {
        "control": "served",
        "challenger": "refused",
    }
    assert any("variant challenger" in reason and "experiment stop new" in reason for reason in health["reasons"])
    assert worker.metric("nextclick_variant_unserved_total", variant="challenger") > 0
    assert worker.metric("nextclick_variant_served", variant="challenger") == 0
