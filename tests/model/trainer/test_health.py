"""How far a training is, in numbers and in words."""

import math
from dataclasses import replace

import msgspec

from model.reports.progress import Progress
from model.trainer.health import TrainingProgress

REPORT = Progress(
    stage="train", epoch=2, epochs=3, step=5, steps=10, done=0.51239, loss=4.21238, sessions_per_s=1234.56, member="2/3"
)


def test_progress_has_the_reports_figures_and_survives_the_pipe() -> None:
    found = TrainingProgress.of(REPORT)
    assert (found.done, found.loss, found.sessions_per_s) == (0.5124, 4.2124, 1234.6)
    assert found.words() == "encoder 2/3, 51%, epoch 2 of 3, loss 4.212, 1,235 sessions/s"
    assert msgspec.convert(msgspec.to_builtins(found), TrainingProgress) == found


def test_loss_that_is_no_number_is_left_out() -> None:
    found = TrainingProgress.of(replace(REPORT, loss=math.nan))
    assert found.loss is None
    assert "loss" not in found.words()
