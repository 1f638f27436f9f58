"""What commands print, on a terminal and elsewhere."""

import json

import pytest

from cli.output import figure, print_json, report


def test_report_into_a_pipe_cuts_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/registry/.checkpoints/" + "0123456789abcdef" * 20 + "/metrics.jsonl"
    report({"metrics_file": path, "valid": {"recall@20": 0.5}}, json=False)
    shown = capsys.readouterr().out
    assert path in shown
    assert "valid recall@20" in shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("valid recall@20", 0.72345678, "0.7235"),
        ("valid recall@20", 1.0, "1.0000"),
        ("seconds", 37.4321, "37.4"),
        ("p99_ms", 24.512, "24.5"),
        ("sessions_per_s", 11079.35, "11079"),
        ("clicks_per_s", 0.4, "0.4"),
        ("valid predictions", 99673.0, "99673"),
        ("epochs", 1.35123, "1.351"),
        ("epochs", 3.0, "3"),
        ("parity score", 3.14159e-7, "3.142e-07"),
        ("seconds", float("nan"), "nan"),
        ("items", 11792, "11792"),
        ("version", "3", "3"),
        ("plot", None, "None"),
    ],
)
def test_figure_has_as_many_digits_as_mean_something(name: str, value: object, shown: str) -> None:
    assert figure(name, value) == shown


def test_json_is_one_line_for_every_reader(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"item_id": "".join(map(chr, range(0x2100)))}
    print_json(value)
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == value
