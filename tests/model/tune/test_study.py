"""The search: resumable, pruned, bounded by its time. Trainings are fakes but in one test."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.errors import ConfigError
from model.config import Preset
from model.presets import PRESETS, preset
from model.reports.progress import Progress
from model.settings import known_settings
from model.tune import study as module
from model.tune.space import space_of, start_of
from model.tune.study import TuneConfig, Tuned, tune
from tests.model.tiny import tiny_log, tiny_preset

pytest.importorskip("optuna")

LOG, VALID = tiny_log(60), tiny_log(10, seed=1)


class Trainings:
    """Stands for trainings: the nearer dropout is to .3 the better; each validates three times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, killed_at: int | None = None) -> None:
        self.begun: list[Preset] = []
        self.ended = 0
        self.killed_at = killed_at
        monkeypatch.setattr(module, "train_preset", self)

    def __call__(self, log: object, valid: object, one: Preset, *, on_progress: Any) -> Any:
        self.begun.append(one)
        if len(self.begun) == self.killed_at:
            raise KeyboardInterrupt
        recall = 0.5 - abs(one.encoder.dropout - 0.3)
        figures = {"recall@20": recall, "mrr@20": recall / 2}
        for epoch in (1, 2, 3):
            on_progress(Progress(stage="train", epoch=epoch, epochs=3, step=1, steps=1))
            on_progress(Progress(stage="validate", epoch=epoch, epochs=3, step=1, steps=1, metrics=figures))
        self.ended += 1
        return SimpleNamespace(valid=figures)


def search(folder: Path, trials: int = 12, budget_s: float = 600.0, one: Preset | None = None) -> Tuned:
    config = TuneConfig(study=folder / "study", budget_s=budget_s, trials=trials)
    return tune(LOG, VALID, one or tiny_preset(dropout=0.1), config)


def test_search_begins_with_the_preset_and_finds_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings = Trainings(monkeypatch)
    monkeypatch.setattr(module, "RANKED", 5)
    found = search(tmp_path, 10)
    assert trainings.begun[0].encoder.dropout == 0.1
    assert all(one.train.validate_epochs for one in trainings.begun)
    assert found.best[0].recall > 0.3
    assert found.best[0].recall == max(one.recall for one in found.best)
    assert found.pruned > 0, "what is behind the median is ended"
    assert trainings.ended == len(found.best) == 10 - found.pruned - found.failed
    assert "dropout" in found.importance
    assert sum(found.importance.values()) == pytest.approx(1.0)
    assert found.to_json()["trials"][0]["settings"] == found.best[0].settings


def test_search_goes_on_from_its_file_and_does_again_what_a_kill_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Trainings(monkeypatch, killed_at=3)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path)
    second = Trainings(monkeypatch)
    found = search(tmp_path, 1)
    assert second.begun == first.begun[2:], "the trial that was killed"
    assert (len(found.best), found.failed) == (3, 1)


def test_search_ends_with_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings = Trainings(monkeypatch)
    clock = SimpleNamespace(monotonic=lambda: 1_000.0 * len(trainings.begun))
    monkeypatch.setattr("model.tune.study.time", clock)
    found = search(tmp_path, budget_s=10.0)
    monkeypatch.undo()
    assert (len(trainings.begun), trainings.ended, found.best) == (1, 0, [])
    assert found.failed == 1


def test_search_of_another_log_or_preset_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trainings(monkeypatch)
    search(tmp_path, 1)
    with pytest.raises(ConfigError, match="a study of another log or preset"):
        tune(tiny_log(61), VALID, tiny_preset(), TuneConfig(study=tmp_path / "study", budget_s=9.0))


def test_search_without_optuna_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"nextclick\[tune\]"):
        search(tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_space_is_of_fields_there_are_and_holds_most_of_a_preset(name: str) -> None:
    one = preset(name)
    space = space_of(one)
    assert set(space) <= set(known_settings())
    assert {"dropout", "lr"} <= set(start_of(one, space))


@pytest.mark.slow
def test_search_trains(tmp_path: Path) -> None:
    small = tiny_preset(epochs=1, layers=1, uniform=0, popular=12, in_batch=0, top=0)
    found = search(tmp_path, 1, one=small)
    assert (len(found.best), found.failed) == (1, 0)
    assert 0 < found.best[0].mrr < found.best[0].recall < 1
