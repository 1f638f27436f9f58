"""`train --items`: what is asked for reaches the training."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from model import training_run
from model.config import TowerConfig
from model.training_run import TrainRequest


@pytest.mark.parametrize(("options", "tower"), [([], TowerConfig()), (["--no-tower"], None)])
def test_train_with_items_learns_them_unless_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], tower: TowerConfig | None
) -> None:
    asked: list[TrainRequest] = []
    monkeypatch.setattr(training_run, "train_to_registry", lambda request, _: asked.append(request))
    paths = ["--data", str(tmp_path / "log"), "--registry", str(tmp_path / "r"), "--items", str(tmp_path / "items")]
    found = CliRunner().invoke(app, ["train", *paths, "--preset", "mtmi", *options])
    assert found.exit_code == 0, found.output
    assert asked[0].items == tmp_path / "items"
    assert asked[0].preset.tower == tower
    assert asked[0].preset.encoder.interests == 4
