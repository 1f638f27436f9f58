"""A registry of small models, topics of the test's own, and workers that do not outlive it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from confluent_kafka.admin import AdminClient

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import free_port
from bench.rig.clients import Lists, Storefront
from bench.rig.toy import toy_bundle
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.config import Guarantee
from stream.kafka.topics import create_topics
from stream.topic_names import Topics
from tests.integration.promises import Promise

ITEMS = 200  # of the small models
K_MAX = 30
PARTITIONS = 4


class StartWorker(Protocol):
    """Starts a worker of the test's group and topics; `options` are more words of its command line, `program` what
    Python runs."""

    def __call__(self, bootstrap: str, *options: str, program: Sequence[str] = ...) -> Worker: ...


class StartService(Protocol):
    """Starts a command that serves /health, by its name, on the test's topics."""

    def __call__(self, name: str, *options: str) -> Worker: ...


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
    """The consumer group, by the name that options give it; the brokers know it by the prefix and this."""
    return "workers"


@pytest.fixture
def group_id(prefix: str, group: str) -> str:
    """The consumer group as the brokers know it."""
    return prefix + group


@pytest.fixture
def changelog(names: Topics, group: str) -> str:
    """The topic of the sessions' state."""
    return names.changelog(group)


@pytest.fixture
def naming(prefix: str) -> tuple[str, ...]:
    """The options by which a command gets the names of the test's topics."""
    return ("--topic-prefix", prefix)


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Broker:
    """The broker of the test: the one that it may stop, if it asks for that, else the shared one."""
    own = "restartable_broker" in request.fixturenames
    found: Broker = request.getfixturevalue("restartable_broker" if own else "broker")
    return found


@pytest.fixture
def topics(kafka: Broker, names: Topics, group: str) -> str:
    """The topics, made; the bootstrap address of the broker that has them."""
    make_topics(kafka, names, group)
    return kafka.bootstrap


@pytest.fixture
def storefront(topics: str, names: Topics) -> Storefront:
    return Storefront(topics, topic=names.clicks)


@pytest.fixture
def lists(request: pytest.FixtureRequest, topics: str, names: Topics) -> Iterator[Lists]:
    """What those read whom the test's guarantee is for; at least once, where it says nothing of one."""
    exactly_once = "guarantee" in request.fixturenames and request.getfixturevalue("guarantee") == "exactly-once"
    reader = Lists(topics, names.recommendations, committed=exactly_once)
    yield reader
    reader.close()


@pytest.fixture
def guarantee() -> Guarantee:
    """Of the workers whose promise a test asks for; modules say which."""
    return "at-least-once"


@pytest.fixture
def promise(guarantee: Guarantee, topics: str, changelog: str, registry: Registry) -> Promise:
    """What the workers are told to guarantee, on the test's topics."""
    return Promise(guarantee=guarantee, bootstrap=topics, changelog=changelog, registry=registry)


@pytest.fixture
def start_worker(registry: Registry, group: str, naming: tuple[str, ...], tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers and ends them with the test."""
    started: list[Worker] = []
    numbers = itertools.count(1)

    def start(bootstrap: str, *options: str, program: Sequence[str] = ("-m", "nextclick")) -> Worker:
        log = tmp_path / f"worker-{next(numbers)}.log"
        worker = Worker(bootstrap, Path(registry.url), group, log, *naming, *options, program=program)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop(grace_s=5)


@pytest.fixture
def start_service(topics: str, naming: tuple[str, ...], tmp_path: Path) -> Iterator[StartService]:
    """Starts services of the test's topics, and ends them with it."""
    started: list[Worker] = []

    def start(name: str, *options: str) -> Worker:
        port = free_port()
        words = (name, "--bootstrap-servers", topics, "--web-port", str(port), *naming, *options)
        started.append(Worker.of([sys.executable, "-m", "nextclick", *words], tmp_path / f"{name}.log", port))
        return started[-1]

    yield start
    for one in started:
        one.stop(grace_s=10)


def make_topics(broker: Broker, names: Topics, group: str, partitions: int = PARTITIONS) -> None:
    """Make the topics; the in-process cluster makes them when they are asked for."""
    if broker.real:
        create_topics(broker.bootstrap, partitions=partitions, group=group, topics=names)
        return
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for name in names.all(group):
        admin.list_topics(name, timeout=10)


def truncate(path: Path) -> None:
    """Cut a file of a published bundle to half, as a full disk or a broken copy would."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
