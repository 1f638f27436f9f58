"""What a worker says of its batches and of itself: latencies only where times are known, and what serves or why not."""

import json
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from export.bundle.bundle import Bundle
from export.ranking.popularity import PopularityRanker
from stream.experiments.keeper import ExperimentHealth
from stream.experiments.variant import VariantHealth
from stream.items.figures import ItemsHealth
from stream.messages.contract import Source
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.ops.reporting import Reporter, describe_health
from stream.ops.web import Health
from stream.partition.erased import Mark
from stream.partition.owned import OwnedPartition
from stream.path.answers import Answer, ServedBy
from stream.path.commit import Prepared, Work
from stream.path.inference import Ranked
from stream.topic_names import Topics
from tests.stream.records import EchoRanker, batch, click


class Reported:
    """A reporter that hears of one batch, whose records all have this timestamp."""

    def __init__(self, timestamp: int, answers: list[Answer] | None = None) -> None:
        self.metrics = Metrics()
        self.problems = Problems(self.metrics.problem)
        reporter = Reporter(self.metrics, Topics.named(prefix="shop1."), None, self.problems)
        records = [replace(click(offset, f"s{offset}", "i"), timestamp=timestamp) for offset in range(2)]
        prepared = Prepared(batch(*records))
        if answers:
            prepared.sessions = {f"s{n}": Work(None, [record]) for n, record in enumerate(records)}  # type: ignore[arg-type]
        reporter.prepared(prepared, 0.001)
        reporter.confirmed(prepared, Ranked(answers or [], "7", 0.001), [], 0.001)

    def sample(self, name: str, stage: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"stage": stage}) or 0.0

    def keys(self) -> list[str]:
        return [problem.key for problem in self.problems.lasting()]


@pytest.mark.parametrize("timestamp", [-1, 0, -62_135_596_800_000, 1_700_000_000, 2**62])
@pytest.mark.parametrize("stage", ["wait", "total"])
def test_reporter_record_without_a_time_is_in_no_latency_and_is_said(timestamp: int, stage: str) -> None:
    reported = Reported(timestamp)
    assert reported.sample("nextclick_latency_seconds_count", stage) == 0
    assert reported.sample("nextclick_latency_unmeasured_total", stage) == 1
    assert reported.keys() == ["record_times"]


@pytest.mark.parametrize("stage", ["wait", "total"])
def test_reporter_record_ahead_of_the_clock_is_in_no_latency(stage: str) -> None:
    reported = Reported(int((time.time() + 60) * 1000))
    assert reported.sample("nextclick_latency_seconds_count", stage) == 0
    assert reported.sample("nextclick_latency_unmeasured_total", stage) == 1
    assert reported.keys() == []


@pytest.mark.parametrize("stage", ["wait", "total"])
def test_reporter_record_with_a_time_is_in_the_latency(stage: str) -> None:
    reported = Reported(int((time.time() - 5) * 1000))
    assert reported.sample("nextclick_latency_seconds_count", stage) == 1
    assert 4.9 < reported.sample("nextclick_latency_seconds_sum", stage) < 60
    assert reported.sample("nextclick_latency_unmeasured_total", stage) == 0


def test_reporter_model_that_ranks_nobody_is_a_problem_and_one_poisoned_session_is_none() -> None:
    now = int(time.time() * 1000)
    bad, good = Answer((), fallback=False, error="CUDA error"), Answer((("a", 1.0),), fallback=False)
    assert Reported(now, [bad, good]).keys() == []
    failing = Reported(now, [bad, bad])
    assert failing.keys() == ["ranking_fails"]
    said = str(failing.problems.lasting()[0])
    assert "CUDA error" in said
    assert "models rollback --bootstrap-servers HOST --topic-prefix shop1." in said


def test_reporter_counts_the_lists_of_each_variant_and_their_fallbacks() -> None:
    by = [ServedBy("new", "a", "1"), ServedBy("new", "a", "1")]
    answers = [Answer((("x", 1.0),), fallback=place == 1, by=one) for place, one in enumerate(by)]
    sample = Reported(int(time.time() * 1000), answers).metrics.registry.get_sample_value
    labels = {"experiment": "new", "variant": "a"}
    assert sample("nextclick_variant_lists_total", labels) == 2
    assert sample("nextclick_variant_fallbacks_total", labels) == 1
    plain = Reported(int(time.time() * 1000), [Answer((("x", 1.0),), fallback=False)] * 2)
    assert plain.metrics.registry.get_sample_value("nextclick_variant_lists_total", labels) is None


def health(**changes: Any) -> Health:
    """Of a worker that serves two partitions, with some of it changed."""
    facts: dict[str, Any] = {
        "ranker": EchoRanker(),
        "variant": "default",
        "joined": True,
        "assigned": [0, 1],
        "lag": {0: 0, 1: 0},
        "partitions": [0, 1],
        "trouble": None,
        "errors": [],
        "failed": False,
    }
    return describe_health(**{**facts, **changes})


def test_health_of_a_worker_that_serves_is_ready_without_reasons() -> None:
    assert (health().ready, health().standby, health().reasons) == (True, False, [])


def test_health_without_partitions_stands_by_and_is_not_ready() -> None:
    found = health(assigned=[], partitions=[], lag={})
    assert (found.ready, found.standby) == (False, True)
    assert "standby: no partition is assigned" in found.reasons[0]


def test_health_while_partitions_are_assigned_is_no_standby() -> None:
    found = health(joined=False, assigned=[], partitions=[])
    assert (found.ready, found.standby) == (False, False)
    assert found.reasons == ["partitions are being assigned or recovered"]


def test_health_with_a_partition_that_is_not_read_names_it() -> None:
    found = health(partitions=[1])
    assert not found.ready
    assert "partitions [0] are not read" in found.reasons[0]


def test_health_with_changed_topics_is_not_ready_and_says_what() -> None:
    found = health(trouble="topics were deleted")
    assert (found.ready, found.reasons) == (False, ["topics were deleted"])


def test_health_with_an_error_that_does_not_stop_it_stays_ready() -> None:
    found = health(errors=["model 2 refused"])
    assert (found.ready, found.reasons) == (True, ["model 2 refused"])
    assert not health(failed=True).ready
    assert not health(ranker=None).ready


def test_health_with_a_model_is_ready_whatever_else_is_wrong_but_for_what_forbids_it() -> None:
    problems = Problems()
    problems.raise_("model_refused", "model 8 refused", "promote another")
    found = health(problems=problems.lasting())
    assert (found.ready, found.serving, found.model, found.fallback) == (True, "model", "7", False)
    assert found.reasons == ["model 8 refused: promote another"]
    problems.raise_("topic_deleted", "clicks is gone", unready=True)
    found = health(problems=problems.lasting())
    assert not found.ready
    assert found.reasons == ["model 8 refused: promote another", "clicks is gone"]


def test_health_has_what_is_served_of_each_experiment() -> None:
    variants = [VariantHealth("a", "1", 50, "served"), VariantHealth("b", "2", 50, "refused", "damaged")]
    running = ExperimentHealth("new", in_force=True, exposure=10, variants=variants)
    shown = json.loads(msgspec.json.encode(health(experiments=[running])))
    assert (shown["ready"], health().experiments) == (True, [])
    [one] = shown["experiments"]
    assert (one["experiment"], one["in_force"], one["exposure"]) == ("new", True, 10)
    assert [(v["variant"], v["state"], v.get("reason")) for v in one["variants"]] == [
        ("a", "served", None),
        ("b", "refused", "damaged"),
    ]


def test_health_tells_popular_items_from_a_model(popularity: PopularityRanker) -> None:
    found = health(ranker=popularity)
    assert (found.ready, found.serving, found.model, found.fallback) == (False, "popularity", None, True)


def test_health_of_a_worker_that_ends_is_no_standby() -> None:
    assert health(partitions=[], assigned=[]).standby
    assert not health(partitions=[], assigned=[], failed=True).standby


def test_health_tells_an_empty_registry_from_a_first_look() -> None:
    found = health(ranker=None)
    assert (found.ready, found.serving, found.fallback) == (False, "empty lists", True)
    assert "the registry holds no model" in found.reasons[0]
    found = health(ranker=None, joined=False)
    assert (found.serving, found.reasons) == ("nothing", ["the first model is looked for"])
    assert health(ranker=None, joined=False, loading="7").reasons == ["model 7 is being loaded"]
    assert health(joined=False).reasons == ["partitions are being assigned or recovered"]
    assert health(failed=True).serving == "nothing"


@pytest.fixture
def popularity(tmp_path: Any) -> PopularityRanker:
    from export.bundle.bundle import load_bundle
    from tests.stream.models.followed import bundle_in

    bundle: Bundle = load_bundle(bundle_in(tmp_path / "bundle"))
    return PopularityRanker(bundle)


@pytest.mark.parametrize("restored", [False, True])
def test_worker_that_waits_for_the_items_says_so(restored: bool) -> None:
    items = ItemsHealth(items=7, topic=True, restored=restored)
    found = describe_health(
        ranker=EchoRanker(), variant="default", joined=False, assigned=[], lag={}, partitions=[], trouble=None,
        errors=[], failed=False, items=items,
    )  # fmt: skip
    assert ("the items are being read: 7 so far" in found.reasons) != restored
    assert found.items == items


def test_reporter_has_redis_asked_again_for_what_a_worker_before_erased_once() -> None:
    asked: list[tuple[Any, ...]] = []
    redis: Any = SimpleNamespace(erase=lambda *given, asked_ms: asked.append((*given, asked_ms)))
    reporter = Reporter(Metrics(), Topics(), redis, placements=lambda: ["home"])
    taken = OwnedPartition(("clicks", 1))
    taken.erased.restore(b"s", Mark(5, 70))
    taken.erased.note(b"t", Mark(6, 80))  # by this worker, in a batch
    for _ in range(2):
        reporter.took_over(taken)
    assert asked == [("s", Source("clicks", 1, 5), ["s", "s:home"], 70)]
