"""A refit learns what was held out too: the same again, or a part of it from weights that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import ConfigError
from model.config import Preset
from model.cycle.config import RefitConfig
from model.cycle.refit import recipe, refit
from model.errors import CheckpointError
from model.learn.committee import train_preset
from model.learn.trained import Trained
from tests.model.tiny import tiny_committee, tiny_log, tiny_preset

pytestmark = pytest.mark.slow


LOG, MORE, VALID = tiny_log(200), tiny_log(220), tiny_log(40, seed=1)


def stable(of: Preset | None = None) -> Preset:
    options = {"epochs": 8, "schedule": "stable", "look_every": 1.0, "validate_epochs": False, "decay": 0.25}
    return (of or tiny_preset(layers=1)).override(**options)


def judged(preset: Preset, folder: Path) -> Trained:
    return train_preset(LOG, VALID, preset, run="r", directory=folder)


def test_recipe_of_a_training_by_evidence_is_as_long_and_looks_no_more(tmp_path: Path) -> None:
    trained = judged(stable(), tmp_path)
    again = recipe(stable(), trained, RefitConfig(max_seconds=7.0)).train
    assert again.epochs == trained.epochs
    assert again.patience == 0
    assert again.max_seconds == 7.0
    steps, total = again.steps(MORE.sessions)
    assert total == round(steps * trained.epochs)


@pytest.mark.parametrize(("limit_s", "found"), [(None, 5.0), (7.0, 7.0)], ids=["the same again", "its own limit"])
def test_recipe_of_a_training_with_a_time_limit_is_limited_too(limit_s: float | None, found: float) -> None:
    """Else the judged training ends after a few passes, as it was asked to, and its refit takes all of them."""
    preset = tiny_preset(validate_epochs=False, epochs=300, max_seconds=5.0)
    trained = Trained(encoders=(), epochs=2.0, seconds=5.0, sessions_per_s=1.0, valid={}, history=[])
    again = recipe(preset, trained, RefitConfig(max_seconds=limit_s)).train
    assert (again.max_seconds, again.epochs) == (found, 300)


def test_recipe_of_the_decay_is_a_share_of_the_stable_steps(tmp_path: Path) -> None:
    trained = judged(stable(), tmp_path)
    again = recipe(stable(), trained, RefitConfig(how="decay", decay=0.5)).train
    assert again.schedule == "falling"
    assert again.epochs == pytest.approx(trained.epochs / 1.25 * 0.5)


def test_recipe_of_the_decay_wants_a_stable_rate(tmp_path: Path) -> None:
    preset = tiny_preset(layers=1, epochs=1)
    with pytest.raises(ConfigError, match="stable rate"):
        recipe(preset, judged(preset, tmp_path), RefitConfig(how="decay"))


@pytest.mark.parametrize("preset", [stable(), stable(tiny_committee())], ids=["alone", "committee"])
def test_refit_by_the_decay_goes_on_from_before_it(tmp_path: Path, preset: Preset) -> None:
    trained = judged(preset, tmp_path / "judged")
    config = RefitConfig(how="decay")
    again = refit(
        preset, trained, MORE, VALID, config, run="r", directory=tmp_path / "refit", judged=tmp_path / "judged"
    )
    assert again.epochs < 0.5 * trained.epochs
    assert again.valid["recall@20"] > 0.9 * trained.valid["recall@20"]


def test_refit_by_the_decay_without_the_state_before_it_is_an_error(tmp_path: Path) -> None:
    trained = judged(stable(), tmp_path / "judged")
    with pytest.raises(CheckpointError):
        refit(
            stable(),
            trained,
            MORE,
            VALID,
            RefitConfig(how="decay"),
            run="r",
            directory=tmp_path / "refit",
            judged=tmp_path / "none",
        )
