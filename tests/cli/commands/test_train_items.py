"""`train --items`: what is asked for reaches the training."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.app import app
from export.errors import ConfigError
from model import training_run
from model.codes.config import CodesConfig
from model.nets.config import TowerConfig
from model.trainer.child import Task
from model.trainer.config import TrainerConfig
from model.trainer.kept.journal import OpenCycle
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


def test_items_as_reaches_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TrainRequest] = []
    monkeypatch.setattr(training_run, "train_to_registry", lambda request, _: asked.append(request))
    paths = ["train", "--data", str(tmp_path / "log"), "--registry", str(tmp_path / "r"), "--preset", "tron"]
    for more in (["--items-as", "bpr", "--splits", "10", "--code-bits", "4"], ["--items-as", "svd"], []):
        found = CliRunner().invoke(app, [*paths, *more])
        assert found.exit_code == 0, found.output
    assert [one.preset.codes for one in asked] == [CodesConfig(made_by="bpr", splits=10, bits=4), CodesConfig(), None]
    assert (CodesConfig().splits, CodesConfig().bits) == (8, 8)  # as published


@pytest.mark.parametrize(("options", "read"), [([], True), (["--no-tower"], False)])
def test_items_of_a_coded_table_are_read_for_those_without_clicks_unless_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], read: bool
) -> None:
    asked: list[TrainRequest] = []
    monkeypatch.setattr(training_run, "train_to_registry", lambda request, _: asked.append(request))
    paths = ["--data", str(tmp_path / "log"), "--registry", str(tmp_path / "r"), "--items", str(tmp_path / "items")]
    found = CliRunner().invoke(app, ["train", *paths, "--items-as", "svd", *options])
    assert found.exit_code == 0, found.output
    assert asked[0].preset.tower is None
    assert (asked[0].items is not None) == read


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--splits", "4"], "add --items-as svd, bpr or random"),
        (["--items-as", "pq"], "coded by svd, svd-plain, bpr, random, not 'pq'"),
        (["--items-as", "svd", "--code-bits", "5"], "8 or 4 bits"),
        (["--items-as", "svd", "--splits", "16", "--preset", "tron"], "vectors 200 wide can't be split in 16"),
        (["--items-as", "svd", "--preset", "mtmi"], "several interests"),
    ],
)
def test_items_as_that_can_not_be_is_refused_before_anything_is_read(
    tmp_path: Path, options: list[str], what: str
) -> None:
    paths = ["train", "--data", str(tmp_path / "log"), "--registry", str(tmp_path / "r")]
    found = CliRunner().invoke(app, [*paths, *options])
    assert isinstance(found.exception, ConfigError)
    assert what in str(found.exception)


def test_trainer_tells_its_trainings_how_items_are_coded(tmp_path: Path) -> None:
    codes = CodesConfig(made_by="bpr", splits=4)
    config = TrainerConfig(registry=str(tmp_path), store=str(tmp_path), work=str(tmp_path), codes=codes)
    task = Task(config, OpenCycle(cycle="1", mode="full", why="", parts=[], until_ts=0, total=0))
    sent = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(task)), type=Task)
    assert sent.config == config
