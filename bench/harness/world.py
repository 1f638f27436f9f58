"""One broker, one Redis, two models and a fleet of workers: what the faults strike."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Literal

from bench.harness.check import Checker
from bench.harness.fleet import Fleet
from bench.harness.traffic import Traffic
from bench.rig.brokers.base import Broker
from bench.rig.brokers.external import TEST_GROUPS
from bench.rig.brokers.redis_server import RedisServer
from bench.rig.clients import Storefront
from bench.rig.operator import Operator
from bench.rig.toy import toy_bundle
from bench.rig.workers import Worker
from export.bundle.bundle import load_bundle
from export.experiments.experiment import Experiment, Variant
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from stream.kafka.topics import create_topics
from stream.messages.announcements import announce, announce_experiment, announcement_for
from stream.topic_names import Topics

__all__ = ["GROUP", "ITEMS", "PARTITIONS", "SESSION_TIMEOUT_S", "Comparing", "Guarantee", "World"]

Guarantee = Literal["at-least-once", "exactly-once"]
Comparing = Literal["none", "split", "interleave"]  # two models in an experiment of most sessions, or none

GROUP = f"{TEST_GROUPS}faults"
PARTITIONS = 4
SESSION_TIMEOUT_S = 3.0  # of a worker in its group: short, so that rounds are
LOOK_S = 1.0  # between two looks of a worker at its topics
ITEMS = 200
K_MAX = 30
WORKERS = (2, 3)  # fewest and most
EXPOSURE = 7_000  # buckets of 10,000 of the sessions that are in the experiment


class World:
    """Started when made, on a `broker` that runs and may be stopped; `close` ends all but the broker."""

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        *,
        guarantee: Guarantee,
        rate: float,
        seed: int,
        comparing: Comparing = "none",
    ) -> None:
        self.broker, self.folder, self.guarantee = broker, folder, guarantee
        self.broker_up = True
        self.partitions = PARTITIONS  # of the clicks, so far
        self.findings: list[str] = []  # what a fault found amiss in this round
        self.operator = Operator(broker.bootstrap)
        self.checker: Checker  # set by who compares
        create_topics(broker.bootstrap, partitions=PARTITIONS, group=GROUP)
        self.changelog = Topics().changelog(GROUP)
        self.redis = RedisServer()
        self.redis.start()
        self.registry = Registry(folder / "registry")
        self.registry.create()
        self.rankers: dict[str, Ranker] = {}
        for number in range(2):
            staged = toy_bundle(folder / f"bundle-{number}", items=ITEMS, k_max=K_MAX, seed=number).path
            version = self.registry.publish(staged)
            bundle = load_bundle(self.registry.fetch(version))
            self.rankers[version] = Ranker(bundle, RankerConfig(threads=1, warm_up=False))
        self.model = "1"  # in force
        self.models = {"1"}  # in force at some time of this round
        self.registry.promote("1")
        self.announce("1")
        self.experiment = None if comparing == "none" else self._compare(interleave=comparing == "interleave")
        self.storefront = Storefront(broker.bootstrap)
        self.traffic = Traffic(self.storefront, rate=rate, sessions=300, items=ITEMS, seed=seed)
        self.fleet = Fleet(self._start_worker, folder, WORKERS[0])

    def announce(self, version: str) -> None:
        """Tell the workers to serve `version`."""
        announce(self.broker.bootstrap, announcement_for(self.registry, version), timeout_s=30)

    def put_in_force(self, version: str) -> None:
        """From now on lists by `version` are right, and at the end of the round no others."""
        self.model = version
        self.models.add(version)

    def broker_back(self) -> Generator[float, None, None]:
        """Wait, in a fault, for the broker to answer."""
        while not self.broker_up:
            yield 0.1

    def damage(self, version: str, name: str) -> None:
        """Cut a file of a published bundle to half."""
        path = self.registry.fetch(version) / name
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    def publish_copy(self) -> str:
        """Publish the model in force once more; its version."""
        staged = self.folder / "copy"
        shutil.copytree(self.registry.fetch(self.model), staged)
        try:
            return self.registry.publish(staged)
        finally:
            shutil.rmtree(staged)

    def close(self) -> None:
        """End the workers and Redis; topics and logs stay."""
        self.fleet.close()
        self.redis.stop()

    def _compare(self, *, interleave: bool) -> Experiment:
        """Both models in an experiment, before the first worker starts: no list may be of another one."""
        shares = {"control": ("1", 5_000), "challenger": ("2", 5_000)}
        variants = tuple(
            Variant(name, version, self.registry.uri(version), self.registry.manifest_sha256(version), share)
            for name, (version, share) in shares.items()
        )
        made = Experiment("faults", variants, exposure=EXPOSURE, interleave=interleave, started_ts=1, announced_ts=1)
        announce_experiment(self.broker.bootstrap, made, timeout_s=30)
        return made

    def _start_worker(self, log: Path, options: tuple[str, ...]) -> Worker:
        timeout = ("--broker-session-timeout-s", str(SESSION_TIMEOUT_S), "--topics-look-s", str(LOOK_S))
        guarantee = () if self.guarantee == "at-least-once" else ("--guarantee", self.guarantee)
        redis = ("--redis", self.redis.url)
        return Worker(
            self.broker.bootstrap, Path(self.registry.url), GROUP, log, *timeout, *redis, *guarantee, *options
        )
