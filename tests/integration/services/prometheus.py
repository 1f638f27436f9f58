"""A real Prometheus (Debian has it) that scrapes real processes, with the alerts of deploy/."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.rig.brokers.process import free_port
from bench.rig.workers import Worker

__all__ = ["Prometheus"]

ALERTS = Path(__file__).parents[3] / "deploy" / "alerts.yaml"


class Prometheus:
    """A server of the test's own; `scrape` starts it. `at_once`: alerts fire as soon as what they ask for holds."""

    def __init__(self, folder: Path, *, at_once: bool = False) -> None:
        self._folder, self._port = folder, free_port()
        self._process: Worker | None = None
        rules = yaml.safe_load(ALERTS.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"] if at_once):
            rule.pop("for", None)
        (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))

    def scrape(self, **ports: int) -> None:
        """Scrape these jobs, `_` in whose names stands for `-`, once a second."""
        jobs = [
            {"job_name": job.replace("_", "-"), "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in ports.items()
        ]
        told = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self._folder / "alerts.yaml")],
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

    def firing(self) -> set[str]:
        """The names of the alerts that fire now; none while it does not answer yet."""
        try:
            found = self.ask("query", query='count by (alertname) (ALERTS{alertstate="firing"})')
        except OSError:
            return set()
        return {one["metric"]["alertname"] for one in found["result"]}

    def stop(self) -> None:
        if self._process:
            self._process.stop(grace_s=5)
