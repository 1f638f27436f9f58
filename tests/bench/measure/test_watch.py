"""Which step of a trainer's cycle a click came in."""

from __future__ import annotations

import numpy as np
import pytest

from bench.measure.watch import Moment, Watch, step_of, steps_at


@pytest.mark.parametrize(
    ("health", "step"),
    [
        ({"ready": False}, ""),  # nobody listens yet
        ({"state": "standby", "step": ""}, ""),
        ({"state": "reading", "step": "publish: version 2"}, ""),
        ({"state": "training", "step": ""}, "begin"),
        ({"state": "training", "step": "train: epoch 1: loss 3.2"}, "train"),
    ],
)
def test_step_is_that_of_the_cycle_that_runs(health: dict[str, object], step: str) -> None:
    assert step_of(health) == step


def test_a_click_is_in_the_step_of_the_last_look_before_it() -> None:
    moments = [Moment(1.0, ""), Moment(2.0, "train"), Moment(3.0, "gate"), Moment(4.0, "")]
    due = np.array([0.5, 1.5, 2.0, 2.9, 3.5, 9.0])
    assert steps_at(due, moments) == ["", "", "train", "train", "gate", ""]


def test_nothing_was_looked_at_is_no_step() -> None:
    assert steps_at(np.array([1.0]), []) == [""]


def test_watch_looks_at_least_once_and_ends_with_its_block() -> None:
    with Watch(lambda: {"state": "training", "step": "gate: x"}) as watch:
        pass
    seen = len(watch.moments)
    assert {moment.step for moment in watch.moments} == {"gate"}
    assert len(watch.moments) == seen >= 1
