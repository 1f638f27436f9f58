"""Which model is served when, and that a bad one never takes the place of a good one."""

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from export.bundle.bundle import load_bundle, write_bundle
from export.bundle.manifest import Manifest, TrainingWindow
from export.bundle.vocabulary import Vocabulary
from export.errors import BundleError, ConfigError, NextclickError, ProviderUnavailable, RegistryMissing
from export.ranking.popularity import PopularityRanker
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.messages.announcements import announce, announcement_for
from stream.messages.contract import ModelAnnouncement
from stream.models.follower import ModelFollower
from stream.models.loading import Wanted, load_ranker
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.topic_names import Topics

Eventually = Callable[[Callable[[], bool], str], None]


def bundle_in(directory: Path) -> Path:
    """A bundle whose hashes are right, of a graph that nobody could run."""
    graph = directory.parent / "graph.onnx"
    graph.write_bytes(b"no graph")
    manifest = Manifest(
        created_ts=0, preset="toy", config={}, items=3, window=5, k_max=3,
        training=TrainingWindow(first_ts=0, last_ts=1, sessions=1, clicks=2),
        valid={}, baselines={}, parity={}, libraries={},
    )  # fmt: skip
    write_bundle(directory, onnx_file=graph, vocabulary=Vocabulary("abc"), popularity=np.ones(3, np.int64),
                 manifest=manifest)  # fmt: skip
    return directory


class Graph:
    """What a refused model holds, and nobody wants to keep."""


class Followed:
    """A registry, a follower of it, and what the follower handed over."""

    def __init__(self, directory: Path, cluster: str, topic: str, versions: int) -> None:
        self.registry = Registry(directory / "registry")
        self.registry.create()
        self.staging = bundle_in(directory / "staging")
        for _ in range(versions):
            self.registry.publish(self.staging)
        self.cluster, self.topic = cluster, topic
        self.metrics = Metrics()
        self.models: list[str] = []
        self.errors: list[NextclickError] = []
        self.loads: list[Wanted] = []
        self.broken: dict[str, Exception] = {}
        self.problems = Problems(self.metrics.problem)
        self.stand_ins: list[PopularityRanker] = []
        config = StreamConfig(bootstrap_servers=cluster, registry=str(directory / "registry"),
                              topics=Topics(models=topic), models_poll_s=0.05)  # fmt: skip
        self.follower = ModelFollower(
            config, self.metrics, lambda ranker: self.models.append(ranker.version),
            on_error=self.errors.append, load=self.load,
        )  # fmt: skip
        self.serving = ModelFollower(  # as a worker has it
            config,
            self.metrics,
            lambda ranker: self.models.append(ranker.version),
            on_stand_in=self.stand_ins.append,
            on_error=self.errors.append,
            problems=self.problems,
            load=self.load,
        )

    def load(self, wanted: Wanted) -> Any:
        self.loads.append(wanted)
        if wanted.version in self.broken:
            raise self.broken[wanted.version]
        bundle = load_bundle(self.registry.fetch(wanted.version))
        if wanted.sha256 not in ("", bundle.manifest_sha256):
            raise BundleError("altered", "not as announced")
        return SimpleNamespace(version=wanted.version, bundle=bundle)

    def announce(self, version: str, **changes: Any) -> None:
        one = announcement_for(self.registry, version)
        fields = {name: getattr(one, name) for name in one.__struct_fields__}
        announce(self.cluster, ModelAnnouncement(**{**fields, **changes}), topic=self.topic)

    def wrong(self) -> dict[str, str]:
        return {problem.key: str(problem) for problem in self.problems.lasting()}

    def failures(self, reason: str) -> float:
        found = self.metrics.registry.get_sample_value("nextclick_model_failures_total", {"reason": reason})
        return found or 0.0


Make = Callable[[int], Followed]


@pytest.fixture
def followed(tmp_path: Path, cluster: str, topic: str) -> Iterator[Make]:
    made: list[Followed] = []

    def make(versions: int) -> Followed:
        made.append(Followed(tmp_path, cluster, topic, versions))
        return made[-1]

    yield make
    for one in made:
        one.follower.stop()
        one.serving.stop()


def test_follower_registry_missing_raises_at_start(tmp_path: Path, cluster: str) -> None:
    config = StreamConfig(bootstrap_servers=cluster, registry=str(tmp_path / "none"))
    with pytest.raises(RegistryMissing):
        ModelFollower(config, Metrics(), lambda _ranker: None).start()


def test_follower_nothing_announced_or_promoted_serves_the_newest(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.follower.start()
    eventually(lambda: one.models == ["2"], "the newest version")
    assert one.follower.version == "2"
    assert one.metrics.registry.get_sample_value("nextclick_model_swaps_total") == 1


def test_follower_nothing_announced_follows_what_is_promoted(followed: Make, eventually: Eventually) -> None:
    one = followed(3)
    one.registry.promote("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the live version")
    one.registry.promote("3")
    eventually(lambda: one.models == ["1", "3"], "the promoted version")


@pytest.mark.slow
def test_follower_new_version_not_promoted_is_not_served(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first version")
    one.registry.publish(one.staging)
    one.announce("2", variant="other")
    one.announce("1")
    one.announce("2")
    eventually(lambda: one.models == ["1", "2"], "the announced version")
    assert [wanted.version for wanted in one.loads] == ["1", "2"]


def test_follower_announced_before_the_start_beats_the_registry(followed: Make, eventually: Eventually) -> None:
    one = followed(3)
    one.registry.promote("3")
    one.announce("2")
    one.announce("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the announced version")


def test_follower_empty_registry_waits_for_the_first_version(followed: Make, eventually: Eventually) -> None:
    one = followed(0)
    one.follower.start()
    assert one.follower.version is None
    one.registry.publish(one.staging)
    eventually(lambda: one.models == ["1"], "the first version")


@pytest.mark.slow
def test_follower_damaged_bundle_is_refused_once_and_the_current_stays(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.registry.promote("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    graph = one.registry.fetch("2") / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    one.announce("2")
    eventually(lambda: one.failures("truncated") == 1, "the refusal")
    assert one.follower.version == "1"
    assert "2 refused" in str(one.follower.error)
    assert len(one.loads) == 2
    one.announce("1")
    graph.write_bytes(b"no graph")
    one.announce("2")  # announced anew once it is repaired
    eventually(lambda: one.models == ["1", "2"], "the repaired bundle")
    assert one.follower.error is None


def test_follower_manifest_unlike_the_announced_is_refused(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.registry.promote("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2", sha256="00" * 32)
    eventually(lambda: one.failures("altered") == 1, "the refusal")
    assert one.models == ["1"]


def test_follower_first_model_damaged_takes_an_older_one(followed: Make, eventually: Eventually) -> None:
    one = followed(3)
    (one.registry.fetch("3") / "model.onnx").write_bytes(b"")
    (one.registry.fetch("2") / "items.json").unlink()
    one.announce("3")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the only sound version")
    assert len(one.errors) >= 2


def test_follower_loader_raising_anything_keeps_the_current_model(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.registry.promote("1")
    one.broken["2"] = RuntimeError("the graph is not for this runtime")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2")
    eventually(lambda: one.failures("runtime_error") == 1, "the refusal")
    assert one.follower.version == "1"


def test_follower_keeps_nothing_of_a_model_that_it_refused(followed: Make, eventually: Eventually) -> None:
    """What is refused is remembered for ever; a graph of some hundred megabytes a promotion must not be."""
    one = followed(2)
    one.registry.promote("1")
    refused: list[weakref.ref[Graph]] = []

    def load(wanted: Wanted) -> Any:
        ranker = one.load(wanted)
        if wanted.version == "2":
            graph = Graph()
            refused.append(weakref.ref(graph))
            try:
                raise ConfigError("k is larger than the model allows")
            except ConfigError as error:
                raise ConfigError(f"{error}: say --k 3") from error
        return ranker

    one.follower._load = load
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2")
    eventually(lambda: one.failures("config_error") == 1, "the refusal")
    eventually(lambda: len(one.errors) == 1, "the telling of it")
    eventually(lambda: gc.collect() >= 0 and refused[0]() is None, "the end of the refused model")


def test_follower_storage_failing_is_asked_again(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.broken["1"] = OSError("the storage is away")
    one.follower.start()
    eventually(lambda: one.failures("registry") >= 1, "the first attempt")
    del one.broken["1"]
    eventually(lambda: one.models == ["1"], "the second attempt")


def test_follower_version_announced_but_not_published_keeps_the_current(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    announce(one.cluster, ModelAnnouncement("9", "nowhere", "00" * 32), topic=one.topic)
    announce(one.cluster, ModelAnnouncement("../..", "nowhere", "00" * 32), topic=one.topic)
    eventually(lambda: one.failures("registry") >= 1, "the failure")
    assert one.models == ["1"]


def test_follower_first_version_announced_is_lost_takes_one_that_is_there(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(2)
    announce(one.cluster, ModelAnnouncement("9", "nowhere", "00" * 32), topic=one.topic)
    one.follower.start()
    eventually(lambda: one.models == ["2"], "the newest version")
    eventually(lambda: one.failures("registry") >= 2, "the lost one asked for again")
    assert one.models == ["2"]


@pytest.mark.slow
def test_follower_nothing_to_serve_and_the_announced_lost_asks_less_and_less_often(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(1)
    one.broken["1"] = RuntimeError("the graph is not for this runtime")
    announce(one.cluster, ModelAnnouncement("9", "nowhere", "00" * 32), topic=one.topic)
    one.follower.start()
    asked: list[float] = []  # when: polls are 0.05 s apart, pauses .5, 1, 2 s

    def thrice() -> bool:
        if one.failures("registry") > len(asked):
            asked.append(time.monotonic())
        return len(asked) >= 3

    eventually(thrice, "the lost version asked for three times")
    assert asked[2] - asked[0] > 0.7
    assert one.models == []


TOO_SHORT = ConfigError("k is 60; model 2 returns lists of 1 to 50")
NO_CUDA = ProviderUnavailable("the CUDA provider can't run here")


@pytest.mark.parametrize("error", [TOO_SHORT, NO_CUDA, BundleError("bad_model", "an operator it does not know")])
def test_follower_later_model_unfit_for_this_worker_is_said_and_the_current_stays(
    followed: Make, eventually: Eventually, error: NextclickError
) -> None:
    one = followed(3)
    one.registry.promote("1")
    one.broken["2"] = error
    one.serving.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2")
    eventually(lambda: "model_refused" in one.wrong(), "the refusal")
    assert str(error) in one.wrong()["model_refused"]
    assert one.serving.version == "1"
    assert (one.stand_ins, one.serving.refusal) == ([], None)
    one.announce("3")
    eventually(lambda: one.models == ["1", "3"], "the next one")
    eventually(lambda: one.wrong() == {}, "nothing wrong any more")


@pytest.mark.parametrize("error", [TOO_SHORT, NO_CUDA])
def test_follower_every_model_refused_at_start_for_its_settings_is_a_refusal_to_serve(
    followed: Make, error: NextclickError
) -> None:
    one = followed(2)
    one.broken = {"1": BundleError("altered", "damaged"), "2": error}
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert one.serving.refusal is error
    assert (one.models, one.stand_ins) == ([], [])


def test_follower_graph_that_cannot_run_at_start_makes_its_popular_items_stand_in(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(1)
    one.broken["1"] = BundleError("bad_model", "an operator it does not know")
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert one.serving.refusal is None
    assert [ranker.version for ranker in one.stand_ins] == ["1"]
    assert set(one.wrong()) == {"model_refused", "no_model"}
    assert one.serving.version is None
    one.registry.publish(one.staging)
    eventually(lambda: one.models == ["2"], "the model that can run")
    eventually(lambda: one.wrong() == {}, "nothing wrong any more")


def test_follower_nothing_readable_at_start_is_a_refusal_to_serve(followed: Make) -> None:
    one = followed(1)
    (one.registry.fetch("1") / "items.json").unlink()
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert isinstance(one.serving.refusal, BundleError)
    assert one.stand_ins == []


def test_follower_first_model_after_the_start_unfit_for_this_worker_makes_popular_items_stand_in(
    followed: Make, eventually: Eventually
) -> None:
    one = followed(0)
    one.broken["1"] = TOO_SHORT
    one.serving.start()
    assert one.serving.looked.wait(10)
    assert (one.serving.refusal, one.wrong()) == (None, {})
    one.registry.publish(one.staging)
    eventually(lambda: len(one.stand_ins) == 1, "the popular items")
    assert one.serving.refusal is None
    assert "k is 60" in one.wrong()["model_refused"]


def test_follower_registry_that_fails_at_start_is_no_empty_registry(followed: Make, eventually: Eventually) -> None:
    one = followed(1)
    one.broken["1"] = OSError("the storage is away")
    one.serving.start()
    eventually(lambda: one.failures("registry") >= 2, "two attempts")
    assert not one.serving.looked.is_set()
    assert "the storage is away" in one.wrong()["registry"]
    del one.broken["1"]
    eventually(lambda: one.models == ["1"], "the model")
    assert one.serving.looked.wait(10)
    assert one.wrong() == {}


def test_load_ranker_version_or_hash_unlike_the_wanted_raises_bundle_error(followed: Make) -> None:
    one = followed(1)
    config = StreamConfig(bootstrap_servers="b", registry=one.registry.url)
    with pytest.raises(BundleError, match="announced"):
        load_ranker(config, one.registry, Wanted("1", "00" * 32))
    with pytest.raises(BundleError):
        load_ranker(config, one.registry, Wanted("1"))


@pytest.mark.slow
def test_load_ranker_sound_bundle_ranks(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="exporting a graph needs the extra train")
    from bench.rig.toy import toy_bundle

    registry = Registry(tmp_path / "registry")
    registry.create()
    version = registry.publish(toy_bundle(tmp_path / "staging").path)
    config = StreamConfig(bootstrap_servers="b", registry=registry.url, k=5, threads=1)
    ranker = load_ranker(config, registry, Wanted(version, registry.manifest_sha256(version)))
    assert len(ranker.rank_items([["item-1", "item-2"]], 5)[0].items) == 5
    too_many = StreamConfig(bootstrap_servers="b", registry=registry.url, k=11, threads=1)
    with pytest.raises(ConfigError, match="1 to 10"):
        load_ranker(too_many, registry, Wanted(version))
