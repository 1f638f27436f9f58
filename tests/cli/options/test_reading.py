"""The options of reading, on every command that reads a log, and what those commands say of it."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import nextclick
from cli.options.reading import Reading
from export.errors import ConfigError

T0 = 1_700_000_000_000


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command as the shell would and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["nextclick", *arguments])
    with pytest.raises(SystemExit) as ended:
        nextclick.main()
    return int(ended.value.code or 0)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that takes options: no header, pipes, its own order, seconds, kinds of its own, one bad line of 41."""
    path = tmp_path / "log.csv"
    lines = [f"{T0 // 1000 + n}|[i{n % 4}]|s{n // 4}|{'Visit' if n % 2 else 'bought'}" for n in range(40)]
    path.write_text("\n".join([*lines, "soon|[i1]|s1|Visit"]) + "\n")
    return path


OPTIONS = (
    *("--no-header", "--delimiter", "pipe", "--time-unit", "s", "--max-bad-share", "0.1"),
    *("--session-column", "3", "--item-column", "2", "--time-column", "1", "--type-column", "4"),
    *("--type-map", "visit=click,bought=order"),
)


@pytest.mark.parametrize("command", ["train", "evaluate", "replay", "log"])
def test_every_command_that_reads_a_log_has_the_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, command, "--help") == 0
    shown = capsys.readouterr().out
    for name in (field.name for field in dataclasses.fields(Reading)):
        assert f"--{name.replace('_', '-')}" in shown


def test_log_reports_what_is_read_and_ids_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    assert run(monkeypatch, "log", str(log), *OPTIONS) == 0
    shown = capsys.readouterr().out
    assert "40 of 41 rows from 1 file" in shown
    assert "bad_ts at log.csv:41: soon|[i1]|s1|Visit" in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if "99 %" not in line)


def test_log_json_has_the_keys_and_is_the_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    assert run(monkeypatch, "log", str(log), *OPTIONS, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {name: found[name] for name in ("rows", "read", "bad", "sessions", "items", "first")} == {
        "rows": 41,
        "read": 40,
        "bad": {"bad_ts": 1},
        "sessions": 10,
        "items": 4,
        "first": "2023-11-14T22:13:20Z",
    }
    assert {"last", "warnings"} <= set(found)


def test_log_that_is_none_ends_with_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    assert run(monkeypatch, "log", str(log)) == 2
    assert "--no-header" in capsys.readouterr().err


def test_evaluate_says_what_it_read_and_what_overlaps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    arguments = ("--data", str(log), "--train", str(log), *OPTIONS)
    for systems in (("--baseline", "next-item"), ("--compare", "popularity", "next-item")):
        assert run(monkeypatch, "evaluate", *systems, *arguments) == 0
        said = capsys.readouterr().err
        assert said.count(f"read {log}: 40 of 41 events from 1 file; 1 bad (bad_ts 1)") == 2
        assert "bad_ts at log.csv:41: soon|[i1]|s1|Visit" in said
        assert "warning: 100.0% of the rows of the evaluated log (40 of 40)" in said


@pytest.mark.parametrize(
    ("given", "part", "value"),
    [
        ({"delimiter": "tab"}, "delimiter", "\t"),
        ({"delimiter": r"\t"}, "delimiter", "\t"),
        ({"delimiter": "^"}, "delimiter", "^"),
        ({"type_map": "View = click, buy=order,"}, "type_map", {"View": "click", "buy": "order"}),
        ({"session_gap_minutes": 0.5}, "session_gap_ms", 30_000),
        ({"no_header": True}, "header", False),
    ],
)
def test_options_mean_what_they_say(given: dict[str, Any], part: str, value: object) -> None:
    assert getattr(Reading(**given).options(), part) == value


@pytest.mark.parametrize(
    "given",
    [{"type_map": "view"}, {"type_map": "view="}, {"type_map": "=click"}, {"type_map": "a=wish"}, {"delimiter": "ab"}],
)
def test_options_that_cannot_be_meant_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Reading(**given).options()
