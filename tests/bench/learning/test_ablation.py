"""The table of what auto's rules are worth undoes each by options that exist."""

from __future__ import annotations

import argparse

import pytest
from rich.console import Console

from bench.learning import ablation
from bench.learning.ablation import WITHOUT, measured, table
from model.evaluate.metrics import MAIN, SECOND
from model.presets import preset
from model.settings import read_settings, with_settings


def test_without_a_rule_are_settings_that_auto_takes() -> None:
    for options in WITHOUT.values():
        fields = read_settings([one.removeprefix("--set=") for one in options if one.startswith("--set=")])
        with_settings(preset("auto"), fields)
    undone = with_settings(preset("auto"), read_settings([one[6:] for one in WITHOUT["length"] + WITHOUT["start"]]))
    assert undone.train == preset("tron-fast").train


def test_measured_rows_are_means_and_say_what_a_rule_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "make_parts", lambda *_: None)

    def trained(parts: object, seed: int, budget: str | None, options: list[str]) -> dict[str, float]:
        return {MAIN: 0.5 + 0.1 * seed - (0.2 if options else 0.0), SECOND: 0.25, "seconds": 3.0}

    monkeypatch.setattr(ablation, "trained", trained)
    args = argparse.Namespace(data_dir=None, rules=["counts"], seeds=[0, 1], budget="60s", out=None)
    rows = measured("beauty", args)
    assert [(row["without"], round(row[MAIN], 3)) for row in rows] == [(None, 0.55), ("counts", 0.35)]
    console = Console(width=120, record=True)
    console.print(table(rows))
    assert "+0.2000 / +0.0000" in console.export_text()
