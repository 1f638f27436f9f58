"""What the dashboards ask, asked of a real Prometheus that scrapes a real worker and a scoreboard."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.rig.brokers.process import free_port, wait_for
from bench.rig.clients import Flow, Lists, Storefront
from bench.rig.workers import Worker
from deploy.grafana.dashboards import rows_of
from deploy.grafana.panels import BOARDS
from tests.integration.conftest import ITEMS, StartWorker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

ALERTS = Path(__file__).parents[2] / "deploy" / "alerts.yaml"
AT_REST = {"What is wrong"}  # shows nothing while nothing is


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    found = Prometheus(tmp_path)
    yield found
    found.stop()


class Prometheus:
    """A server of the test's own; `scrape` starts it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._process: Worker | None = None

    def scrape(self, **ports: int) -> None:
        """Scrape these jobs, `_` in whose names stands for `-`, once a second."""
        jobs = [
            {"job_name": job.replace("_", "-"), "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in ports.items()
        ]
        told = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": jobs,
        }
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(told))
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("there is no prometheus: apt-get install prometheus")
        where = [
            "--config.file",
            str(self._folder / "prometheus.yaml"),
            "--storage.tsdb.path",
            str(self._folder / "tsdb"),
        ]
        listens = f"--web.listen-address=127.0.0.1:{self._port}"
        self._process = Worker.of([program, *where, listens], self._folder / "prometheus.log")

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        assert found["status"] == "success", (query, found)
        return dict(found["data"])

    def values(self, expr: str) -> list[float]:
        return [float(one["value"][1]) for one in self.ask("query", query=expr)["result"]]

    def stop(self) -> None:
        if self._process:
            self._process.stop(grace_s=5)


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
