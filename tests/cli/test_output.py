"""What commands print, on a terminal and elsewhere."""

import json

import pytest

from cli.output import print_json, report


def test_report_into_a_pipe_cuts_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/registry/.checkpoints/" + "0123456789abcdef" * 20 + "/metrics.jsonl"
    report({"metrics_file": path, "valid": {"recall@20": 0.5}}, json=False)
    shown = capsys.readouterr().out
    assert path in shown
    assert "valid recall@20" in shown


def test_json_is_one_line_for_every_reader(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"item_id": "".join(map(chr, range(0x2100)))}
    print_json(value)
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == value
