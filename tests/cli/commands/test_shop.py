"""`simulate`: what it says of the log it wrote."""

import json
from pathlib import Path

import pyarrow.parquet
from typer.testing import CliRunner

from cli.app import app
from demo.simulated.simulator import LOG_START_MS

SMALL = ("--sessions", "200", "--items", "100", "--json")


def simulated(path: Path, *options: str) -> dict[str, object]:
    found = CliRunner().invoke(app, ["simulate", str(path), *SMALL, *options])
    assert found.exit_code == 0, found.output
    values: dict[str, object] = json.loads(found.stdout.splitlines()[-1])
    return values


def test_simulate_with_a_shift_says_when_and_has_new_items_from_then_on(tmp_path: Path) -> None:
    plain = simulated(tmp_path / "plain.parquet")
    found = simulated(tmp_path / "shift.parquet", "--shift-after", "6.5")
    assert "shift_ts" not in plain
    assert found["shift_ts"] == LOG_START_MS + 13 * 43_200_000
    assert found["clicks"] == plain["clicks"]
    rows = pyarrow.parquet.read_table(tmp_path / "shift.parquet").to_pylist()
    newcomers = {f"i{number:05d}" for number in range(100, 120)}
    first = min(row["timestamp"] for row in rows if row["item_id"] in newcomers)
    assert first >= LOG_START_MS + 13 * 43_200_000
