"""Alerts that fire by faults of real processes, as a real Prometheus sees them. tests/deploy/test_alerts.py has all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Flow, Storefront
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.messages.announcements import announce, announcement_for
from stream.topic_names import Topics
from tests.integration.conftest import StartWorker, truncate
from tests.integration.prometheus import Prometheus

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

NOBODY = {"NextclickNoTrainer", "NextclickNoSimilar", "NextclickNoServe"}  # runs here
SESSIONS = 400


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    found = Prometheus(tmp_path, at_once=True)
    yield found
    found.stop()


def await_alerts(prometheus: Prometheus, *names: str) -> None:
    wait_for(f"{names} to fire", lambda: set(names) <= prometheus.firing(), 60, every_s=0.5)


def test_alerts_fire_by_what_goes_wrong_and_not_before(
    topics: str,
    names: Topics,
    naming: tuple[str, ...],
    registry: Registry,
    storefront: Storefront,
    start_worker: StartWorker,
    prometheus: Prometheus,
    tmp_path: Path,
) -> None:
    redis_is_away = f"redis://127.0.0.1:{free_port()}/0"
    worker = start_worker(topics, "--redis", redis_is_away)
    port = free_port()
    where = ["--bootstrap-servers", topics, *naming, "--state", str(tmp_path / "state"), "--web-port", str(port)]
    scores = Worker.of([sys.executable, "-m", "nextclick", "scoreboard", *where], tmp_path / "scoreboard.log", port)
    try:
        worker.await_ready()
        wait_for("the scoreboard", lambda: scores.health().get("ready"), 30)
        prometheus.scrape(nextclick=worker.port, nextclick_scoreboard=port)
        wait_for("nothing else to be wrong", lambda: prometheus.firing() == NOBODY, 60, every_s=0.5)

        with Flow(storefront, rate=50, sessions=20, items=20):  # lists, which Redis does not get
            await_alerts(prometheus, "NextclickRedisErrors")

        for number in range(SESSIONS):  # popularity answers those of whose items no model knows
            storefront.click(f"x{number}", f"unknown-{number}")
        storefront.flush()
        await_alerts(prometheus, "NextclickFallbacks")

        garbage = Producer({"bootstrap.servers": topics})

        def rejected() -> bool:
            garbage.produce(names.clicks, b"no click", b"s")
            garbage.produce(names.items, b"no item", b"sku-1")
            garbage.flush(10)
            return {"NextclickRejected", "NextclickItemsRefused"} <= prometheus.firing()

        wait_for("what is rejected to be told", rejected, 60, every_s=0.5)

        announcement = announcement_for(registry, "2")
        truncate(registry.fetch("2") / "model.onnx")
        announce(topics, announcement, topic=names.models)
        await_alerts(prometheus, "NextclickModelRefused", "NextclickProblem")
        assert "NextclickWorkerDown" not in prometheus.firing()

        worker.process.kill()
        scores.process.kill()
        await_alerts(prometheus, "NextclickWorkerDown", "NextclickNoWorker", "NextclickNoScoreboard")
    finally:
        scores.stop(grace_s=5)
