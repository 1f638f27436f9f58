"""A registry and a follower of it, for the tests of what is served."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from export.bundle.bundle import load_bundle
from export.bundle.manifest import Manifest, TrainingWindow
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.errors import BundleError, NextclickError
from export.ranking.popularity import PopularityRanker
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.messages.announcements import announce, announcement_for
from stream.messages.contract import ModelAnnouncement
from stream.models.follower import ModelFollower
from stream.models.loading import Wanted
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
