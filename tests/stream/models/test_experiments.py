"""The follower hears of experiments on the topic of the models, and has their models loaded beside the live one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.bundle.bundle import load_bundle
from export.errors import BundleError, ConfigError, NextclickError
from export.experiments.experiment import Experiment, Variant
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.messages.announcements import announce, announce_experiment, announcement_for
from stream.models.follower import ModelFollower
from stream.models.loading import Wanted
from stream.ops.metrics import Metrics
from stream.topic_names import Topics
from tests.stream.kafka.test_clients import NOBODY
from tests.stream.models.followed import bundle_in

Eventually = Callable[[Callable[[], bool], str], None]
Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


def two(control: str = "1", challenger: str = "2", **more: Any) -> Experiment:
    return Experiment("new", (Variant("a", control, share=5_000), Variant("b", challenger, share=5_000)), **more)


class Followed:
    """A registry of three versions and a follower of it, whose models are not run."""

    def __init__(self, directory: Path, cluster: str, topic: str) -> None:
        self.registry = Registry(directory / "registry")
        self.registry.create()
        for _ in range(3):
            self.registry.publish(bundle_in(directory / f"staging-{_}"))
        self.registry.promote("1")
        self.cluster, self.topic = cluster, topic
        self.loads: list[str] = []
        self.broken: dict[str, NextclickError] = {}
        self.models: list[str] = []
        self.metrics = Metrics()
        config = StreamConfig(
            bootstrap_servers=cluster, registry=self.registry.url, topics=Topics(models=topic), models_poll_s=0.05
        )
        self.follower = ModelFollower(
            config, self.metrics, lambda ranker: self.models.append(ranker.version), load=self.load
        )

    def load(self, wanted: Wanted) -> Any:
        self.loads.append(wanted.version)
        if wanted.version in self.broken:
            raise self.broken[wanted.version]
        return SimpleNamespace(version=wanted.version, bundle=load_bundle(self.registry.fetch(wanted.version)))

    def announce(self, experiment: Experiment) -> None:
        announce_experiment(self.cluster, experiment, topic=self.topic)

    def states(self) -> list[str]:
        return [variant.state for one in self.follower.experiments.health() for variant in one.variants]


@pytest.fixture
def followed(tmp_path: Path, cluster: str, topic: str) -> Iterator[Followed]:
    made = Followed(tmp_path, cluster, topic)
    yield made
    made.follower.stop()


def test_models_of_experiments_announced_before_are_there_when_the_first_click_is_read(
    followed: Followed, eventually: Eventually
) -> None:
    followed.announce(two())
    followed.follower.start()
    eventually(followed.follower.looked.is_set, "the first look")
    assert (followed.models, followed.loads, followed.states()) == (["1"], ["1", "2"], ["served", "served"])
    assert followed.follower.experiments.plan is not None
    assert followed.follower.loading is None


def test_experiment_started_and_stopped_later_is_in_force_between(followed: Followed, eventually: Eventually) -> None:
    followed.follower.start()
    eventually(followed.follower.looked.is_set, "the first look")
    assert followed.follower.experiments.plan is None
    followed.announce(two())
    eventually(lambda: followed.follower.experiments.plan is not None, "the experiment")
    announce(followed.cluster, announcement_for(followed.registry, "2"), topic=followed.topic)
    eventually(lambda: followed.models == ["1", "2"], "the variant's model, live now")
    followed.announce(two(state="stopped"))
    eventually(lambda: followed.follower.experiments.plan is None, "the end")
    announce(followed.cluster, announcement_for(followed.registry, "1"), topic=followed.topic)
    eventually(lambda: followed.models == ["1", "2", "1"], "the old model again")
    assert followed.loads == ["1", "2", "1"], "each is loaded once as long as somebody needs it"


def test_experiment_that_can_not_be_read_is_counted_and_the_one_before_stays(
    followed: Followed, eventually: Eventually, send: Send
) -> None:
    followed.announce(two())
    followed.follower.start()
    eventually(followed.follower.looked.is_set, "the first look")
    plan = followed.follower.experiments.plan
    send(followed.topic, [(b"experiment:new", b'{"experiment": "new", "variants": []}')])
    sample = followed.metrics.registry.get_sample_value
    eventually(lambda: sample("nextclick_announcement_errors_total") == 1, "the refusal")
    assert followed.follower.experiments.plan is not None
    assert (plan is not None, followed.states()) == (True, ["served", "served"])
    send(followed.topic, [(b"experiment:new", None)])
    eventually(lambda: followed.follower.experiments.plan is None, "the end of one whose record was removed")


def test_variant_that_can_not_be_served_leaves_the_live_model_and_the_worker_alone(
    followed: Followed, eventually: Eventually
) -> None:
    followed.broken["2"] = BundleError("truncated", "half a file")
    followed.announce(two())
    followed.follower.start()
    eventually(followed.follower.looked.is_set, "the first look")
    assert (followed.models, followed.states()) == (["1"], ["served", "refused"])
    assert followed.follower.refusal is None
    failures = followed.metrics.registry.get_sample_value("nextclick_model_failures_total", {"reason": "truncated"})
    assert failures == 1


def test_worker_that_must_not_answer_loads_nothing_for_experiments(followed: Followed, eventually: Eventually) -> None:
    followed.broken = {version: ConfigError("k is 60; models return lists of 1 to 50") for version in "123"}
    followed.announce(two())
    followed.follower.start()
    eventually(followed.follower.looked.is_set, "the first look")
    assert followed.follower.refusal is not None
    assert (followed.loads, followed.states()) == (["1", "3", "2"], ["wanted", "wanted"])


def test_variants_are_loaded_while_the_announced_live_model_can_not_be_found(
    followed: Followed, eventually: Eventually
) -> None:
    followed.follower.start()
    eventually(followed.follower.looked.is_set, "the first look")
    lost = announcement_for(followed.registry, "3")
    announce(followed.cluster, type(lost)("9", lost.uri, lost.sha256), topic=followed.topic)
    eventually(lambda: followed.follower.error is not None, "the lost one")
    followed.announce(two("1", "3"))
    eventually(lambda: followed.states() == ["served", "served"], "the variants")


@pytest.mark.waits
@pytest.mark.parametrize("patience_s", [0.2, 1e9])
def test_worker_does_not_answer_before_it_knows_the_experiments_unless_it_waits_too_long(
    tmp_path: Path, topic: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch, patience_s: float
) -> None:
    monkeypatch.setattr("stream.models.follower._START_S", 0.1)
    monkeypatch.setattr("stream.models.follower._EXPERIMENTS_S", patience_s)
    followed = Followed(tmp_path, NOBODY, topic)
    followed.follower.start()
    eventually(lambda: followed.models == ["1"], "the live model, which the registry names")
    if patience_s < 1:
        eventually(followed.follower.looked.is_set, "the end of its patience")
    else:
        assert not followed.follower.looked.wait(1.0)
    followed.follower.stop()
