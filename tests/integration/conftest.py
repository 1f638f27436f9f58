"""A registry of small models, topics, and workers that do not outlive their test."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from confluent_kafka.admin import AdminClient

from bench.rig.brokers.base import SUITE_TOPICS, Broker
from bench.rig.brokers.external import TEST_GROUPS
from bench.rig.clients import Lists, Storefront
from bench.rig.workers import Worker, cli
from export.bundle.bundle import load_bundle
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from tests.export.toy import toy_bundle

ITEMS = 200  # of the small models
K_MAX = 30
PARTITIONS = 4


class StartWorker(Protocol):
    """Starts a worker of the test's group; `options` are more words of its command line, `program` what Python runs."""

    def __call__(self, bootstrap: str, *options: str, program: Sequence[str] = ...) -> Worker: ...


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two unpublished bundles whose rankings differ, exported once a run."""
    folder = tmp_path_factory.mktemp("bundles")
    return [toy_bundle(folder / str(seed), items=ITEMS, k_max=K_MAX, seed=seed).path for seed in (0, 1)]


@pytest.fixture
def registry(tmp_path: Path, staged: list[Path]) -> Registry:
    """A registry of its own with versions 1 and 2; 1 is live."""
    registry = Registry(tmp_path / "registry")
    registry.create()
    for bundle in staged:
        registry.publish(bundle)
    registry.promote("1")
    return registry


@pytest.fixture
def group() -> str:
    """A consumer group nobody used before."""
    return f"{TEST_GROUPS}{uuid.uuid4().hex[:10]}"


@pytest.fixture
def topics(broker: Broker, group: str) -> str:
    """The topics, made; the bootstrap address of the broker that has them."""
    make_topics(broker, group)
    return broker.bootstrap


@pytest.fixture
def storefront(topics: str) -> Storefront:
    return Storefront(topics)


@pytest.fixture
def lists(topics: str) -> Iterator[Lists]:
    reader = Lists(topics)
    yield reader
    reader.close()


@pytest.fixture
def start_worker(registry: Registry, group: str, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers and ends them with the test."""
    started: list[Worker] = []
    numbers = itertools.count(1)

    def start(bootstrap: str, *options: str, program: Sequence[str] = ("-m", "nextclick")) -> Worker:
        log = tmp_path / f"worker-{next(numbers)}.log"
        worker = Worker(bootstrap, Path(registry.url), group, log, *options, program=program)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop(grace_s=5)


def make_topics(broker: Broker, group: str, partitions: int = PARTITIONS) -> None:
    """Make the topics by the command; the in-process cluster makes them when they are asked for."""
    if broker.real:
        done = cli(
            "topics",
            "create",
            "--bootstrap-servers",
            broker.bootstrap,
            "--partitions",
            str(partitions),
            "--group",
            group,
        )
        assert done.returncode == 0, done.stderr
        return
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for name in (*SUITE_TOPICS, f"{group}-sessions-changelog"):
        admin.list_topics(name, timeout=10)


def ranker_of(registry: Registry, version: str) -> Ranker:
    """The ranker of a version, in this process."""
    return Ranker(load_bundle(registry.fetch(version)), RankerConfig(threads=1, warm_up=False))


def truncate(path: Path) -> None:
    """Cut a file of a published bundle to half, as a full disk or a broken copy would."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
