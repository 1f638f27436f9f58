"""A training goes on after a kill as if nothing had happened, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.errors import CheckpointError
from model.learn import checkpoint
from model.learn.train import Trainer, train
from tests.model.learn.test_train import assert_same, run
from tests.model.tiny import tiny_log, tiny_preset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SLOW_TRAINING = """
import sys, time
from pathlib import Path
from model.learn.train import Trainer
from tests.model.tiny import tiny_log, tiny_preset

trainer = Trainer(tiny_log(200), tiny_log(40, seed=1), tiny_preset(), run="r", directory=Path(sys.argv[1]))
step = trainer.train_step
def slow(**options):
    step(**options); trainer.save(); print(trainer.step, flush=True); time.sleep(0.05)
trainer.train_step = slow
trainer.run()
"""
OPTIONS: dict[str, dict[str, Any]] = {
    "sampled": {},
    "average and cosine": {"ema": 0.9, "schedule": "cosine", "warmup": 4},
    "touched rows": {"lazy": True},
    "touched rows, adagrad, average": {"lazy": True, "rule": "adagrad", "lr": 0.05, "ema": 0.9},
    "masked": {"masked": True},
    "gru": {"kind": "gru", "input_dropout": 0.3},
    "part of an epoch": {"epochs": 2.3},
    "other negatives at the end": {"popular": 10, "popular_at_end": 25, "ending": 0.5},
}


def stopped(directory: Path, step: int, **options: Any) -> Trainer:
    """A training that ended after `step` steps, its checkpoint written."""
    trainer = Trainer(tiny_log(200), tiny_log(40, seed=1), tiny_preset(**options), run="r", directory=directory)
    while trainer.step < step:
        trainer.train_step()
        if trainer.step % trainer.steps == 0:
            trainer.end_epoch()
    trainer.save()
    return trainer


def test_resume_after_sigkill_equals_uninterrupted(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_TRAINING, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 17:  # in the second epoch of 13 steps
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(timeout=30) == -signal.SIGKILL
    process.stdout.close()
    killed_at = checkpoint.load(tmp_path)["step"]
    assert 17 <= killed_at < 26
    assert_same(run(), run(tmp_path))


@pytest.mark.parametrize("stop", [1, 12, 13, 14, 25, 26])
def test_resume_at_any_step_equals_uninterrupted(tmp_path: Path, stop: int) -> None:
    stopped(tmp_path, stop)
    assert_same(run(), run(tmp_path))


@pytest.mark.parametrize("name", OPTIONS)
def test_resume_in_the_middle_of_an_epoch_equals_uninterrupted(tmp_path: Path, name: str) -> None:
    stopped(tmp_path, 19, **OPTIONS[name])
    assert_same(run(**OPTIONS[name]), run(tmp_path, **OPTIONS[name]))


@pytest.mark.parametrize("epochs", [2, 1.5])
def test_resume_of_a_finished_training_trains_and_validates_nothing_again(tmp_path: Path, epochs: float) -> None:
    one = run(tmp_path, epochs=epochs)
    written = checkpoint.load(tmp_path)["seconds"]
    again = run(tmp_path, epochs=epochs)
    assert_same(one, again)
    assert again.seconds == written


def test_resume_of_a_training_whose_time_is_over_is_the_same_model(tmp_path: Path) -> None:
    assert_same(*(run(tmp_path, epochs=10_000, max_seconds=0.2) for _ in range(2)))


def test_resume_with_more_time_goes_on(tmp_path: Path) -> None:
    first = run(tmp_path, epochs=10_000, max_seconds=0.2)
    second = run(tmp_path, epochs=10_000, max_seconds=checkpoint.load(tmp_path)["spent"] + 0.3)
    assert second.epochs > first.epochs
    assert second.seconds > first.seconds
    assert second.history[: len(first.history)] == first.history


def test_resume_from_a_checkpoint_that_does_not_tell_its_wall_time_goes_on(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    state = checkpoint.load(tmp_path)
    del state["spent"]
    checkpoint.save(tmp_path, state)
    assert_same(run(tmp_path, epochs=1), run(epochs=1))


def test_resume_declined_starts_anew(tmp_path: Path) -> None:
    run(tmp_path, seed=3)
    log, valid = tiny_log(200), tiny_log(40, seed=1)
    assert_same(run(), train(log, valid, tiny_preset(), run="r", directory=tmp_path, resume=False))


def test_resume_from_another_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="another training"):
        train(tiny_log(200), tiny_log(40), tiny_preset(), run="other", directory=tmp_path)


@pytest.mark.parametrize("options", [{"lazy": True}, {"hidden": 8}], ids=str)
def test_resume_with_another_state_than_was_saved_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    run(tmp_path, epochs=1)
    with pytest.raises(CheckpointError):
        run(tmp_path, **options)


def test_resume_with_a_part_missing_is_refused(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    state = checkpoint.load(tmp_path)
    del state["optimizer"]
    checkpoint.save(tmp_path, state)
    with pytest.raises(CheckpointError, match="incomplete"):
        run(tmp_path)
