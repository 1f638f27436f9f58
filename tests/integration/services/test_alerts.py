"""Alerts that fire by faults of real processes, as a real Prometheus sees them. tests/deploy/test_alerts.py has all."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from confluent_kafka import Producer

from bench.rig.brokers.base import Broker
from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Flow, Storefront
from bench.rig.frail import frail_bundle
from bench.rig.operator import Operator
from bench.rig.workers import Worker
from export.experiments.experiment import Experiment, Variant
from export.registry.registry import Registry
from stream.messages.announcements import announce, announce_experiment, announcement_for
from stream.topic_names import Topics
from tests.integration.conftest import ITEMS, K_MAX, PARTITIONS, StartWorker, truncate
from tests.integration.services.prometheus import ALERTS, Prometheus

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

SESSIONS = 400
SERVICES = ("similar", "scoreboard", "serve", "trainer", "feedback")

# The faults of the test below, in its order
CAUSED = {
    "a registry that is empty": {"NotReady", "SimilarProblem"},
    "no Redis": {"RedisErrors"},
    "clicks that go before they are read": {"ClicksLost", "TrainerClicksLost"},
    "items that no model knows": {"Fallbacks"},
    "messages that are none": {"Rejected", "ItemsRefused", "TrainerProblem"},
    "items that are switched off": {"ListsShort"},
    "a model that is half there": {"ModelRefused", "Problem", "VariantNotServed"},
    "a model that fails to rank": {"VariantFails"},
    "states whose folders are gone": {"ScoreboardProblem", "FeedbackProblem"},
    "topics that are gone": {"TopicsChanged", "ServeProblem", "ServeNotReady"},
    "processes that are gone": {"WorkerDown", "NoWorker", *(f"No{name.title()}" for name in SERVICES[:4])},
}
ONLY_ASKED_OF_PROMTOOL = {
    "CrashLoop": "three starts of a worker: 15 s",
    "ItemsLeftOut": "a model with an encoder of items: torch",
    "LagGrowing": "more clicks than are answered, for half a minute at least: test_overload has them",
    "Slow": "more clicks than a worker keeps up with: test_overload has them",
    "NothingAnswered": "five minutes after the last list",
    "ItemsLate": "a broker that is away for two minutes",
    "StateGrowing": "gigabytes of sessions",
    "TrainerNoLeader": "a group that gives nobody its partition",
    "ModelOld": "a day",
    "GateRefuses": "a training, and a day",
    "TrainerLagGrowing": "a million clicks",
    "TrainerDiskFull": "a disk that is full",
    "SimilarLate": "ten minutes",
    "VariantStopped": "some thousand judged clicks: test_scoreboard has them",
    "SampleRatio": "some thousand sessions in wrong shares: tests/stream/scoreboard has the figure",
    "ScoreboardBehind": "a million messages",
}


def test_every_alert_is_caused_here_or_it_is_said_why_not() -> None:
    told = [rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    listed = [*(name for names in CAUSED.values() for name in names), *ONLY_ASKED_OF_PROMTOOL]
    assert sorted(f"Nextclick{name}" for name in listed) == sorted(told)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    found = Prometheus(tmp_path, at_once=True)
    yield found
    found.stop()


@pytest.fixture
def operator(topics: str, real_broker: Broker) -> Operator:
    return Operator(topics)


@pytest.fixture
def empty(tmp_path: Path) -> Registry:
    """A registry without a model."""
    found = Registry(tmp_path / "empty")
    found.create()
    return found


@pytest.fixture
def services(topics: str, naming: tuple[str, ...], empty: Registry, tmp_path: Path) -> Iterator[dict[str, Worker]]:
    """One of each that is no worker."""
    words = {
        "scoreboard": ("scoreboard", "--state", str(tmp_path / "scores")),
        "similar": ("similar", "publish", "--follow", "--registry", empty.url),
        "serve": ("serve",),
        "feedback": ("feedback", "--state", str(tmp_path / "skips")),
        "trainer": ("trainer", "--registry", empty.url, "--min-sessions", "100000"),  # it trains nothing
    }
    found = {}
    for name in SERVICES:
        where = ("--bootstrap-servers", topics, *naming, "--web-port", str(port := free_port()))
        command = [sys.executable, "-m", "nextclick", *words[name], *where]
        found[name] = Worker.of(command, tmp_path / f"{name}.log", port)
    yield found
    for one in found.values():
        one.stop(grace_s=5)


class Faults:
    """Waits for the alerts of a fault of CAUSED."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus, self.left = prometheus, dict(CAUSED)

    def firing(self) -> set[str]:
        return {name.removeprefix("Nextclick") for name in self._prometheus.firing()}

    def await_health(self) -> None:
        """Small models have nothing to say which items are similar. What takes memory that was just loaded looks like
        growth for a while, which the alert waits out."""
        known = {"SimilarProblem", "StateGrowing"}
        try:
            wait_for("nothing to be wrong", lambda: self.firing() <= known, 60, every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{self.firing() - known} fire without a fault") from error

    def await_alerts(self, fault: str, again: Callable[[], None] = lambda: None) -> None:
        """`again`: causes it once more."""
        wanted = self.left.pop(fault)

        def fires() -> bool:
            again()
            return wanted <= self.firing()

        try:
            wait_for(f"{wanted} to fire", fires, 60, every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{fault}: {sorted(wanted - self.firing())} not among {self.firing()}") from error


@contextlib.contextmanager
def stalled(*processes: Worker) -> Iterator[None]:
    for one in processes:
        one.pause()
    try:
        yield
    finally:
        for one in processes:
            one.resume()


def test_alerts_fire_by_what_goes_wrong_and_not_before(
    topics: str,
    names: Topics,
    operator: Operator,
    empty: Registry,
    staged: list[Path],
    storefront: Storefront,
    services: dict[str, Worker],
    start_worker: StartWorker,
    prometheus: Prometheus,
    tmp_path: Path,
) -> None:
    redis_is_away = f"redis://127.0.0.1:{free_port()}/0"
    worker = start_worker(topics, "--registry", empty.url, "--redis", redis_is_away, "--topics-look-s", "1")
    faults = Faults(prometheus)
    prometheus.scrape(nextclick=worker.port, **{f"nextclick_{name}": one.port for name, one in services.items()})
    faults.await_alerts("a registry that is empty")

    for bundle in staged:
        empty.publish(bundle)
    empty.promote("1")
    announce(topics, announcement_for(empty, "1"), topic=names.models)
    worker.await_ready()
    faults.await_health()
    for state in ("scores", "skips"):  # written every 30 s: what is awaited last
        shutil.rmtree(tmp_path / state)

    with Flow(storefront, rate=50, sessions=20, items=20) as flow:  # lists, which Redis does not get
        faults.await_alerts("no Redis")
        flow.confirmed(10)

    def lose_clicks() -> None:
        with stalled(worker, services["trainer"]):
            _click(storefront, "lost", lambda number: f"item-{number % 20 + 1}")
            operator.remove(names.clicks, dict.fromkeys(range(PARTITIONS), -1))

    faults.await_alerts("clicks that go before they are read", lose_clicks)
    _click(
        storefront, "x", lambda number: f"unknown-{number}"
    )  # popularity answers those of whose items no model knows
    faults.await_alerts("items that no model knows")

    other = Producer({"bootstrap.servers": topics})

    def reject() -> None:
        other.produce(names.clicks, b"no click", b"s")
        other.produce(names.items, b"no item", b"sku-1")
        other.flush(10)

    faults.await_alerts("messages that are none", reject)

    for number in range(1, ITEMS + 1):
        said = {"item_id": f"item-{number}", "available": False}
        other.produce(names.items, json.dumps(said).encode(), f"item-{number}".encode())
    other.flush(10)
    faults.await_alerts("items that are switched off", lambda: storefront.click("s0", "item-1"))

    half = announcement_for(empty, "2")
    truncate(empty.fetch("2") / "model.onnx")
    announce(topics, half, topic=names.models)
    challenger = Variant("challenger", "2", half.uri, half.sha256, share=5_000)
    one = Experiment("one", (Variant("control", share=5_000), challenger))
    announce_experiment(topics, one, topic=names.models)
    faults.await_alerts("a model that is half there")
    announce_experiment(topics, msgspec.structs.replace(one, state="stopped"), topic=names.models)

    frail = frail_bundle(tmp_path / "frail", items=ITEMS, k_max=K_MAX, runs_up_to=9)
    failing = announcement_for(empty, empty.publish(frail.path))
    challenger = Variant("challenger", failing.version, failing.uri, failing.sha256, share=9_999)
    two = Experiment("two", (Variant("control", share=1), challenger))
    announce_experiment(topics, two, topic=names.models)
    faults.await_alerts("a model that fails to rank", lambda: storefront.click("s0", "item-10"))
    faults.await_alerts("states whose folders are gone")
    assert faults.firing().isdisjoint(CAUSED["processes that are gone"])

    operator.delete(names.recommendations, names.clicks)
    faults.await_alerts("topics that are gone")
    for service in services.values():
        service.process.kill()
    faults.await_alerts("processes that are gone")
    assert not faults.left


def _click(storefront: Storefront, session: str, item: Callable[[int], str]) -> None:
    for number in range(SESSIONS):
        storefront.click(f"{session}{number}", item(number))
    storefront.flush()
