"""`tune` writes a preset file that `train` takes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.commands.learn.train import _preset
from model.preset_files import base_and_settings
from model.settings import read_settings

pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

SMALL = """base = "tron-fast"
[set]
min_steps = 2
min_epochs = 0.1
epochs = 0.1
warmup = 0
"""


def test_tune_writes_the_best_as_a_preset_and_goes_on_from_its_study(tmp_path: Path) -> None:
    log, start, out = tmp_path / "log.csv", tmp_path / "small.toml", tmp_path / "best.toml"
    rows = [f"{session},{(session + step) % 31},{1_000 * session + step}" for session in range(60) for step in range(4)]
    log.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    start.write_text(SMALL)
    arguments = ["tune", "--data", str(log), "--preset", str(start), "--trials", "1", "--threads", "1"]
    arguments += ["--study", str(tmp_path / "study"), "--out", str(out), "--budget", "10m"]
    first = CliRunner().invoke(app, [*arguments, "--json"])
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout.splitlines()[-1])
    assert (len(found["trials"]), found["preset_file"]) == (1, str(out))
    base, given = base_and_settings(str(out))
    settings = read_settings(given)
    assert base == "tron-fast"
    assert settings.items() >= {"min_steps": 2, **found["trials"][0]["settings"]}.items()
    second = CliRunner().invoke(app, arguments)
    assert "2 trials, 0 ended early" in second.stdout, second.output
    chosen, _ = _preset(str(out), None, ["dropout=.45"], epochs=None, positions=None)
    assert (chosen.encoder.dropout, chosen.train.min_steps) == (0.45, 2)
