"""What the dashboards ask, asked of a real Prometheus that scrapes a real worker and a scoreboard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.workers import Worker
from deploy.grafana.dashboards import rows_of
from deploy.grafana.panels import BOARDS
from tests.integration.conftest import ITEMS, StartWorker
from tests.integration.services.prometheus import Prometheus

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

AT_REST = {"What is wrong"}  # shows nothing while nothing is


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    found = Prometheus(tmp_path)
    yield found
    found.stop()


def test_every_panel_is_answered_and_those_of_a_worker_at_work_have_data(
    topics: str,
    naming: tuple[str, ...],
    storefront: Storefront,
    lists: Lists,
    start_worker: StartWorker,
    prometheus: Prometheus,
    tmp_path: Path,
) -> None:
    worker = start_worker(topics)
    port = free_port()
    where = ["--bootstrap-servers", topics, *naming, "--state", str(tmp_path / "state"), "--web-port", str(port)]
    scores = Worker.of([sys.executable, "-m", "nextclick", "scoreboard", *where], tmp_path / "scoreboard.log", port)
    try:
        worker.await_ready()
        prometheus.scrape(nextclick=worker.port, nextclick_scoreboard=port)
        with Flow(storefront, rate=200, sessions=50, items=ITEMS + 20) as flow:
            storefront.raw(b"no click", b"s")
            flow.confirmed(200)
            wait_for("clicks to be judged", lambda: scores.health().get("judged", 0) > 0, 60)
            wait_for("what is judged to be scraped", lambda: _scraped(prometheus), 60)
            empty = {
                (board.service, panel.title): query.expr
                for board in BOARDS
                for _, panels in rows_of(board)
                for panel in panels
                for query in panel.queries
                if not prometheus.values(query.expr)  # one that is no PromQL is refused here
            }
    finally:
        scores.stop(grace_s=5)
    filled = [panel.title for board in BOARDS[:1] for _, panels in board.rows for panel in panels]
    assert len(filled) > 12
    assert {title for service, title in empty if service == "worker"} & set(filled) <= AT_REST
    assert ("scoreboard", "Hit rate by variant") not in empty
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 30
    assert [rule["name"] for rule in rules if rule["health"] not in ("ok", "unknown")] == []
    lists.await_answers(storefront.sent)


def _scraped(prometheus: Prometheus) -> bool:
    try:
        judged = prometheus.values("nextclick_scoreboard_clicks > 0")
        rates = prometheus.values("rate(nextclick_rejected_total[1m])") and prometheus.values(
            "rate(nextclick_clicks_total[1m]) > 0"
        )
    except OSError:
        return False
    return bool(judged and rates)
