"""`nextclick check`: a table at 80 columns, one JSON line, and an exit code that says how bad it is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    servers = ("--bootstrap-servers", "127.0.0.1:1", "--limit-s", "6")
    return ["check", *servers, "--registry", str(tmp_path / ("a-long-name-of-a-registry" * 3))]


@pytest.mark.waits
def test_check_prints_findings_in_80_columns_and_ends_with_2(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("cli.output.WIDTH", 80)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "6 checks: 2 errors, 0 warnings" in done.stdout
    assert "Check --bootstrap-servers" in " ".join(done.stdout.split())


@pytest.mark.waits
def test_check_as_json_is_one_line(words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 2
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert {one["check"] for one in said["findings"]} == {"registry_missing", "broker_unreachable"}
    assert (said["errors"], said["warnings"], said["exit_code"]) == (2, 0, 2)
    assert all(one["remedy"] for one in said["findings"])
