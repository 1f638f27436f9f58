"""Experiments in one worker: when they are in force, what is loaded for them and how often, and what is said of it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.rig.toy import toy_bundle
from export.errors import BundleError, ConfigError, RegistryError, VersionUnknown
from export.experiments.experiment import Experiment, Variant
from export.ranking.ranker import Ranker, RankerConfig
from stream.config import StreamConfig
from stream.experiments.keeper import ExperimentKeeper
from stream.models.loading import Wanted
from stream.models.pool import ModelPool
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems


def experiment(*versions: str, name: str = "new", **more: Any) -> Experiment:
    """Of one variant a version, of equal shares, named a, b, c …"""
    share = 10_000 // len(versions)
    shares = [10_000 - share * (len(versions) - 1), *[share] * (len(versions) - 1)]
    variants = [Variant(chr(97 + n), v, share=shares[n]) for n, v in enumerate(versions)]
    return Experiment(name, tuple(variants), **more).check()


class Kept:
    """A keeper on a pool whose loader is the test's; `broken` has what loading a version raises."""

    def __init__(self, prepare: Callable[[Ranker], None] = lambda _ranker: None, **config: Any) -> None:
        self.loads: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.now = 0.0
        self.metrics = Metrics()
        self.problems = Problems(self.metrics.problem)
        self.pool = ModelPool(lambda wanted: self.load(wanted), config.get("max_models", 8))
        self.keeper = ExperimentKeeper(
            StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere", **config),
            self.metrics,
            self.problems,
            self.pool,
            self.pool.take,
            prepare=prepare,
            clock=lambda: self.now,
        )

    def load(self, wanted: Wanted) -> Any:
        self.loads.append(wanted.version)
        if wanted.version in self.broken:
            raise self.broken[wanted.version]
        return SimpleNamespace(version=wanted.version, bundle=SimpleNamespace(manifest_sha256="aa"))

    def live(self, version: str) -> None:
        self.pool.take(Wanted(version))
        self.pool.live_is(version)

    def hear(self, *experiments: Experiment) -> None:
        for one in experiments:
            self.keeper.hear(one)
        for _ in range(20):
            if not self.keeper.look():
                return
        pytest.fail("the keeper never has enough")

    def states(self) -> dict[str, str]:
        return {v.variant: v.state for one in self.keeper.health() for v in one.variants}

    def in_force(self) -> list[str]:
        return [one.experiment for one in self.keeper.health() if one.in_force]

    def wrong(self) -> dict[str, str]:
        return {problem.key: str(problem) for problem in self.problems.lasting()}

    def served(self, variant: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "nextclick_variant_served", {"experiment": "new", "variant": variant}
        )


def test_lists_of_a_variant_are_prepared_before_any_batch_needs_them(tmp_path: Path) -> None:
    """Its own version, what is live by a preference of its own, and that of a model that is about to go live."""
    bundle, prepared = toy_bundle(tmp_path), list[tuple[Ranker, float, bool]]()
    kept = Kept(prepare=lambda ranker: prepared.append((ranker, ranker.config.preference, kept.keeper.plan is None)))
    rankers = {version: Ranker(bundle, RankerConfig(warm_up=False)) for version in "123"}
    kept.load = lambda wanted: rankers[wanted.version]  # type: ignore[method-assign]
    kept.live("1")
    kept.hear(
        Experiment(
            "new",
            (Variant("a", share=4_000), Variant("b", share=3_000, preference=0.9), Variant("c", "2", share=3_000)),
        ).check()
    )
    assert kept.in_force() == ["new"]
    assert {(preference, before) for _, preference, before in prepared[:4] if before} == {(0.5, True), (0.9, True)}
    before = {id(ranker) for ranker, *_ in prepared}
    assert {id(rankers["1"]), id(rankers["2"])} <= before
    plan = kept.keeper.plan
    assert plan is not None
    served = {variant.ranker(rankers["1"]) for n in range(200) for variant in plan.route(f"session-{n}")}
    assert {id(one) for one in served} == before
    prepared.clear()
    kept.keeper.live_will_be(rankers["3"])
    assert [preference for _, preference, _ in prepared] == [0.5, 0.9]
    ready = {id(ranker) for ranker, *_ in prepared}
    assert {id(v.ranker(rankers["3"])) for n in range(200) for v in plan.route(f"session-{n}")} <= ready | before
    assert {id(v.ranker(rankers["1"])) for n in range(200) for v in plan.route(f"session-{n}")} == before  # still live


def test_a_version_of_several_variants_is_loaded_once_and_the_live_one_not_again() -> None:
    kept = Kept()
    kept.live("1")
    kept.hear(experiment("1", "2", "2"), experiment("2", "3", name="other"))
    assert kept.loads == ["1", "2", "3"]
    assert kept.states() == {"a": "served", "b": "served", "c": "served"}
    assert sorted(kept.in_force()) == ["new", "other"]


def test_an_experiment_is_in_force_once_all_its_variants_are_settled_and_not_before() -> None:
    kept = Kept()
    kept.live("1")
    kept.keeper.hear(experiment("1", "2", "3"))
    for _ in range(3):  # a model at a time, and between them it is heard what has come
        assert kept.keeper.plan is None, "who is there first would get more sessions"
        assert kept.keeper.look()
    assert kept.keeper.plan is not None
    assert not kept.keeper.look()
    assert kept.in_force() == ["new"]


def test_models_of_a_stopped_experiment_are_freed_at_once_but_for_those_still_needed() -> None:
    kept = Kept()
    kept.live("1")
    kept.hear(experiment("1", "2"), experiment("2", "3", name="other"))
    kept.keeper.hear(experiment("2", "3", name="other", state="stopped", reason="enough"))
    assert sorted(kept.pool.versions) == ["1", "2"]
    assert kept.in_force() == ["new"]
    kept.keeper.hear(experiment("1", "2", state="stopped"))
    assert (kept.pool.versions, kept.keeper.plan, kept.keeper.health()) == (["1"], None, [])
    assert kept.served("b") is None, "a variant that was stopped is none that is not served"


def test_a_control_of_a_fixed_version_stays_when_another_one_becomes_live() -> None:
    kept = Kept()
    kept.live("1")
    kept.hear(experiment("1", "2"))
    kept.live("3")
    kept.live("2")
    assert sorted(kept.pool.versions) == ["1", "2"]
    assert kept.loads == ["1", "2", "3"]
    kept.hear(experiment("1", "2", state="stopped"))
    assert kept.pool.versions == ["2"]


@pytest.mark.parametrize("error", [BundleError("truncated", "half a file"), ConfigError("k"), RuntimeError("graph")])
def test_a_variant_that_can_not_be_served_is_said_and_the_others_are_in_force(error: Exception) -> None:
    kept = Kept()
    kept.live("1")
    kept.broken["2"] = error
    kept.hear(experiment("1", "2"))
    assert kept.states() == {"a": "served", "b": "refused"}
    assert kept.in_force() == ["new"]
    assert str(error) in kept.wrong()["variant_not_served"]
    assert "nextclick experiment stop new" in kept.wrong()["variant_not_served"]
    assert (kept.served("a"), kept.served("b")) == (1, 0)
    for _ in range(3):
        kept.now += 1000
        kept.hear()
    assert kept.loads.count("2") == 1, "what is damaged is not tried again and again"
    del kept.broken["2"]
    kept.hear(experiment("1", "2", announced_ts=5))
    assert (kept.states()["b"], kept.wrong()) == ("served", {})


@pytest.mark.parametrize("error", [VersionUnknown("none"), RegistryError("away"), OSError("away")])
def test_a_registry_that_is_away_is_asked_again_less_and_less_often(error: Exception) -> None:
    kept = Kept()
    kept.live("1")
    kept.broken["2"] = error
    kept.hear(experiment("1", "2"))
    assert kept.in_force() == ["new"]
    for seconds, tries in ((0.4, 1), (0.2, 2), (0.7, 2), (0.5, 3), (100, 4)):
        kept.now += seconds
        kept.hear()
        assert kept.loads.count("2") == tries
    assert "variant_not_served" in kept.wrong()
    del kept.broken["2"]
    kept.now += 100
    kept.hear()
    assert (kept.states()["b"], kept.wrong()) == ("served", {})


def test_models_beyond_the_bound_are_refused_and_served_once_there_is_room() -> None:
    kept = Kept(max_models=3)
    kept.live("1")
    kept.hear(experiment("1", "2"), experiment("3", "4", name="other", started_ts=1))
    assert kept.loads == ["1", "2", "3"]
    assert "3 models are loaded" in kept.wrong()["variant_not_served"]
    kept.hear(experiment("1", "2", state="stopped"))
    assert (kept.loads, kept.wrong()) == (["1", "2", "3", "4"], {})


def test_a_variant_stopped_by_an_announcement_is_dropped_and_the_others_go_on_as_they_are() -> None:
    kept = Kept()
    kept.live("1")
    kept.hear(running := experiment("1", "2", "3"))
    stopped = tuple(
        Variant(v.name, v.version, share=v.share, stopped="too slow" if v.name == "b" else "") for v in running.variants
    )
    kept.keeper.hear(Experiment("new", stopped))
    assert kept.states() == {"a": "served", "b": "dropped", "c": "served"}
    assert sorted(kept.pool.versions) == ["1", "3"]
    assert kept.in_force() == ["new"]
    assert (kept.served("b"), kept.wrong()) == (None, {})
    kept.hear()
    assert kept.loads == ["1", "2", "3"]


def test_the_same_announcement_again_changes_nothing_and_unknown_ones_that_are_stopped_neither() -> None:
    kept = Kept()
    kept.hear(experiment("1", "2"), experiment("1", "2"), experiment("8", "9", name="old", state="stopped"))
    kept.keeper.hear(Experiment("gone", (), state="stopped"))
    assert kept.loads == ["1", "2"]


def test_experiments_are_asked_in_the_order_of_their_start_and_then_of_their_names() -> None:
    kept = Kept()
    for name, started in (("z", 1), ("b", 2), ("a", 2)):
        kept.keeper.hear(experiment("", "", name=name, started_ts=started))
    assert [one.experiment for one in kept.keeper.health()] == ["z", "a", "b"]


def test_a_variant_far_slower_than_the_control_is_said() -> None:
    kept = Kept()
    kept.hear(experiment("1", "2", "3"))
    assert kept.keeper.plan is not None
    control, slow, fine = kept.keeper.plan._running[0].variants
    for _ in range(200):
        control.pace.add(4, 0.002)
        slow.pace.add(4, 0.02)
        fine.pace.add(4, 0.005)
    kept.hear()
    assert list(kept.wrong()) == ["variant_slow"]
    assert "variant b (version 2) takes 20.0 ms a ranking run, where a takes 2.0 ms" in kept.wrong()["variant_slow"]
    for _ in range(2000):
        slow.pace.add(4, 0.002)
    kept.hear()
    assert kept.wrong() == {}


def test_a_variant_whose_ranking_fails_on_and_on_is_said_and_its_model_freed() -> None:
    kept = Kept(variant_failures=2)
    kept.live("1")
    kept.hear(experiment("1", "2"))
    assert kept.keeper.plan is not None
    failing = kept.keeper.plan._running[0].variants[1]
    for _ in range(2):
        failing.ran(3, 3, "ValueError: no")
    kept.hear()
    assert "failed 2 times in a row: ValueError: no" in kept.wrong()["variant_not_served"]
    assert (kept.pool.versions, kept.served("b")) == (["1"], 0)
    kept.now += 10_000
    kept.hear()
    assert kept.loads == ["1", "2"], "it is not loaded again"


def test_pool_loads_a_version_anew_where_another_manifest_is_wanted() -> None:
    loads: list[str] = []

    def load(wanted: Wanted) -> Any:
        loads.append(wanted.sha256)
        return SimpleNamespace(version="1", bundle=SimpleNamespace(manifest_sha256=wanted.sha256 or "aa"))

    take: Callable[[Wanted], Any] = ModelPool(load, 8).take
    first = take(Wanted("1"))
    assert take(Wanted("1", "aa")) is first
    assert take(Wanted("1", "bb")) is not first
    assert loads == ["", "bb"]
