"""Tests of bench/learning/cost.py: the cost is that of the command that a user gives, and from its log."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.learning import cost

SUMMARY = {
    "seconds": 4.0,
    "epochs": 2.5,
    "peak_memory_mb": 1_000.0,
    "refitted": True,
    "valid": {"recall@20": 0.5, "mrr@20": 0.25},
    "baselines": {
        "popularity": {"recall@20": 0.1, "mrr@20": 0.05},
        "vmis-knn": {"recall@20": 0.4, "mrr@20": 0.2},
    },
}


@pytest.mark.parametrize("budget", [None, "60s"])
def test_no_option_but_the_data_is_given(
    budget: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        assert Path(command[command.index("--data") + 1]).is_file()
        return subprocess.CompletedProcess(command, 0, stdout="words\n" + json.dumps(SUMMARY) + "\n")

    monkeypatch.setattr(subprocess, "run", run)
    limit = [] if budget is None else ["--budget", budget]
    monkeypatch.setattr(sys, "argv", ["cost", "--sessions", "50", "100", "--items", "30", "--json", *limit])
    cost.main()
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [row["sessions"] for row in rows] == [50, 100]
    assert rows[0]["clicks"] < rows[1]["clicks"]
    assert rows[0]["bytes_a_click"] == round(1_000 * 2**20 / rows[0]["clicks"])
    assert (rows[0]["baseline"], rows[0]["baseline_recall@20"], rows[0]["recall@20"]) == ("vmis-knn", 0.4, 0.5)
    for command in asked:
        given = {word for word in command if word.startswith("--")}
        assert given == {"--data", "--registry", "--json"} | ({"--budget"} if budget else set())
