"""A refit learns what was held out too: the same again, or a part of it from weights that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.config import Preset
from model.cycle.config import RefitConfig
from model.cycle.refit import BEGUN, as_begun, recipe, refit
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
    trained = Trained(encoders=(), epochs=2.0, seconds=5.0, spent=5.0, sessions_per_s=1.0, valid={}, history=[])
    again = recipe(preset, trained, RefitConfig(max_seconds=limit_s)).train
    assert (again.max_seconds, again.epochs) == (found, 300)


def test_recipe_of_a_training_that_its_limit_ended_goes_on_within_its_own() -> None:
    cut = Trained(
        encoders=(), epochs=2.0, limited=True, seconds=5.0, spent=5.0, sessions_per_s=1.0, valid={}, history=[]
    )
    preset = stable().override(max_steps=10, max_seconds=5.0, newest_sessions=50)
    own = recipe(preset, cut, RefitConfig(max_seconds=9.0, max_steps=20, newest_sessions=100)).train
    assert (own.max_seconds, own.max_steps, own.newest_sessions, own.patience) == (9.0, 20, 100, 0)
    same = recipe(preset, cut, RefitConfig()).train
    assert (same.max_seconds, same.max_steps, same.newest_sessions, same.patience) == (5.0, 10, 50, 0)


def test_recipe_of_a_chosen_epoch_is_as_long_whatever_ended_the_training() -> None:
    history = [{"epoch": epoch, "recall@20": recall} for epoch, recall in ((1.0, 0.1), (2.0, 0.3), (2.5, 0.2))]
    cut = Trained(
        encoders=(), epochs=2.5, limited=True, seconds=5.0, spent=5.0, sessions_per_s=1.0, valid={}, history=history
    )
    found = recipe(tiny_preset(validate_epochs=True, max_seconds=5.0), cut, RefitConfig(max_seconds=9.0)).train
    assert (found.epochs, found.max_seconds, found.validate_epochs) == (2.0, 9.0, False)


@pytest.mark.parametrize("preset", [stable(), stable(tiny_committee())], ids=["alone", "committee"])
def test_refit_of_a_limited_training_takes_the_steps_that_it_is_given(tmp_path: Path, preset: Preset) -> None:
    short = preset.override(max_steps=10)
    trained = judged(short, tmp_path / "judged")
    assert trained.limited
    given = RefitConfig(max_steps=20)
    again = refit(short, trained, MORE, VALID, given, run="r", directory=tmp_path / "refit", judged=None)
    assert again.epochs == pytest.approx(20 / short.train.steps(MORE.sessions)[0], abs=1e-3)


def test_refit_that_was_stopped_goes_on_as_it_began_whatever_time_is_left_now(tmp_path: Path) -> None:
    began, now = RefitConfig(max_steps=20, max_seconds=9.0, newest_sessions=50), RefitConfig(max_steps=7)
    assert as_begun(began, tmp_path, resume=True) == began
    assert as_begun(now, tmp_path, resume=True) == now, "it has no checkpoint yet"
    assert as_begun(began, tmp_path, resume=True) == began
    judged(stable(), tmp_path)  # a checkpoint
    assert as_begun(now, tmp_path, resume=True) == began
    (tmp_path / BEGUN).write_bytes(b"{")
    assert as_begun(now, tmp_path, resume=True) == now
    assert as_begun(began, tmp_path, resume=False) == began


def continued(preset: Preset, trained: Trained, folder: Path, judged: Path) -> Trained:
    config = RefitConfig(how="continue")
    return refit(preset, trained, MORE, VALID, config, run="r", directory=folder / "refit", judged=judged)


def test_refit_that_continues_begins_with_the_judged_weights(tmp_path: Path) -> None:
    preset = tiny_preset(layers=1, epochs=4, validate_epochs=False)
    trained = judged(preset, tmp_path / "judged")
    again = continued(preset, trained, tmp_path, tmp_path / "judged")
    assert again.epochs < 0.5 * trained.epochs
    assert again.valid["recall@20"] > 0.9 * trained.valid["recall@20"]


def test_refit_that_continues_without_the_judged_weights_is_an_error(tmp_path: Path) -> None:
    trained = judged(stable(), tmp_path / "judged")
    with pytest.raises(CheckpointError):
        continued(stable(), trained, tmp_path, tmp_path / "none")
