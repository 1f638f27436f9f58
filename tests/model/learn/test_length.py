"""A training's length: by steps with its schedule, or by evidence, with a decay that ends it well at any time."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from model.errors import Interrupted
from model.learn.config import TrainConfig
from model.learn.length import FEWEST, SPREAD, ByEvidence, BySteps, Length, length_of
from model.learn.train import Trainer
from model.learn.trained import Trained
from tests.model.tiny import tiny_log, tiny_preset


def by_steps(total: int = 100, limit_s: float | None = None, **options: Any) -> BySteps:
    return BySteps(TrainConfig(**options), 10, total, limit_s)


def by_evidence(total: int = 10_000, limit_s: float | None = None, **options: Any) -> ByEvidence:
    usual: dict[str, Any] = {"schedule": "stable", "decay": 0.25, "look_every": 10.0, "patience": 2}
    return ByEvidence(TrainConfig(**{**usual, **options}), 10, total, limit_s)


def factors(length: Length, steps: int) -> list[float]:
    return [length.factor(step, 0.0) for step in range(steps)]


def test_rate_warms_up_and_stays() -> None:
    assert factors(by_steps(warmup=4), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert by_steps().factor(0, 0.0) == 1.0


def test_rate_warms_up_in_a_tenth_of_a_short_training() -> None:
    assert factors(by_steps(20, warmup=50), 4) == [0.02, 0.5, 1.0, 1.0]


def test_rate_cosine_falls_from_the_whole_rate_to_zero() -> None:
    found = factors(by_steps(schedule="cosine"), 101)
    assert found[0] == 1.0
    assert found[50] == pytest.approx(0.5)
    assert found[25] == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 4))
    assert found[100] == pytest.approx(0.0)
    assert all(later < earlier for earlier, later in pairwise(found))


def test_rate_cosine_warms_up_first() -> None:
    found = factors(by_steps(schedule="cosine", warmup=10), 100)
    assert found[0] == pytest.approx(0.1)
    assert max(found) == max(found[8:12])


def test_rate_schedule_ends_with_the_time_limit() -> None:
    assert by_steps(limit_s=10.0, schedule="cosine").factor(1, 10.0) == pytest.approx(0.0)


def test_evidence_rate_stays_until_the_decay_which_takes_a_share_of_the_steps_so_far() -> None:
    length = by_evidence()
    assert length.factor(3_000, 0.0) == 1.0
    length.best = 1.0
    for step in (3_000, 4_000):
        assert length.begun is None
        length.note(step, 0.0, 1.0)
    assert length.begun is not None
    assert [length.factor(step, 0.0) for step in (4_000, 4_250, 5_000)] == [1.0, 0.5, 0.0]
    assert not length.over(4_999)
    assert length.over(5_000)
    assert not length.looks(10**9), "nothing is left to decide"


def test_evidence_a_gain_lets_it_go_on() -> None:
    length = by_evidence()
    for number, quality in enumerate((0.1, 0.1, 0.2, 0.2, 0.3, 0.3004)):
        length.note(1_000 * number, 0.0, quality)
    assert length.begun is None
    length.note(6_000, 0.0, 0.3008)
    assert length.begun is not None, "a gain that is too small is none"


@pytest.mark.parametrize(("look_gain", "ends"), [(0.005, True), (0.001, False)])
def test_evidence_what_counts_as_a_gain_is_asked_for(look_gain: float, ends: bool) -> None:
    length = by_evidence(patience=1, look_gain=look_gain)
    length.note(100, 0.0, 1.0)
    length.note(200, 0.0, 1.002)
    assert (length.begun is not None) == ends


def test_evidence_fewest_steps_are_taken_whatever_the_looks_say() -> None:
    length = by_evidence(min_steps=500, look_every=0.1)
    for step in range(0, 500, 50):
        length.note(step, 0.0, 0.1)
    assert length.begun is None
    length.note(500, 0.0, 0.1)
    assert length.begun is not None


def test_evidence_looks_are_apart_and_ever_rarer() -> None:
    length, seen = by_evidence(look_every=0.1), []
    for step in range(5_000):
        if length.looks(step):
            seen.append(step)
            length.note(step, 0.0, float(step + 1))
    assert seen[0] == FEWEST
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    assert min(gaps) == FEWEST
    assert gaps[-1] >= (SPREAD - 1) * seen[-2]


def test_evidence_most_steps_have_the_decay_among_them() -> None:
    length = by_evidence(1_000)
    for step in range(1_001):
        length.tick(step, 0.0)
        if length.over(step):
            break
    assert length.begun == 800
    assert step == 1_000


def test_evidence_time_has_the_decay_in_it() -> None:
    length = by_evidence(limit_s=100.0)
    length.tick(10, 79.0)
    assert length.begun is None
    length.tick(11, 80.0)
    assert length.begun is not None
    assert length.factor(11, 85.0) == pytest.approx(0.5)
    assert length.factor(11, 100.0) == pytest.approx(0.0)


def test_evidence_share_done_never_goes_back() -> None:
    length, seen = by_evidence(2_000), []
    for step in range(1_100):
        length.tick(step, 0.0)
        if step == 800:
            length.best, length.idle = 1.0, 1
            length.note(step, 0.0, 0.5)
        if length.over(step):
            break
        seen.append(length.done(step, 0.0))
    assert seen == sorted(seen)
    assert step == 1_000
    assert seen[-1] > 0.99


def test_length_of_several_processes_knows_no_clock() -> None:
    config = TrainConfig(schedule="stable", max_seconds=1.0)
    assert isinstance(length := length_of(config, 1_000, by_time=False), ByEvidence)
    assert length.limit_s is None


# ---- in a training


def stable(directory: Path | None = None, **options: Any) -> Trainer:
    usual: dict[str, Any] = {"epochs": 12, "schedule": "stable", "look_every": 1, "patience": 1}
    usual |= {"validate_epochs": False, "look_sessions": 20}
    preset = tiny_preset(**{**usual, **options})
    return Trainer(tiny_log(200), tiny_log(40, seed=1), preset, run="r", directory=directory)


def weights_of(trained: Trained) -> list[torch.Tensor]:
    return list(trained.encoders[0].state_dict().values())


@pytest.mark.slow
def test_training_by_evidence_ends_before_its_most_steps_where_nothing_is_gained(tmp_path: Path) -> None:
    trainer = stable(tmp_path, epochs=1_000, lr=1e-9)
    trained = trainer.run()
    assert isinstance(trainer.length, ByEvidence)
    assert trainer.length.begun == 2 * FEWEST, "the second look finds no gain"
    assert trained.epochs < 30
    assert not trained.limited


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "limited"),
    [
        ({"max_steps": 20}, True),
        ({"max_seconds": 1e-3}, True),
        ({"epochs": 2, "patience": 0}, False),
        ({"schedule": "cosine", "max_steps": 20}, True),
        ({"schedule": "cosine", "max_seconds": 1e-3}, True),
        ({"schedule": "cosine", "epochs": 2, "max_steps": 1_000}, False),
    ],
)
def test_training_that_a_limit_ends_says_so_and_not_one_of_its_own_length(
    options: dict[str, Any], limited: bool
) -> None:
    assert stable(**{"epochs": 1_000, **options}).run().limited == limited


@pytest.mark.slow
def test_training_by_evidence_repeats_by_its_seed() -> None:
    first, second = stable().run(), stable().run()
    assert first.epochs == second.epochs
    assert all(torch.equal(*pair) for pair in zip(weights_of(first), weights_of(second), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("at", [40, 130])
def test_training_by_evidence_goes_on_after_an_interruption(tmp_path: Path, at: int) -> None:
    whole = stable().run()
    cut = stable(tmp_path)
    take = cut.train_step

    def until(**options: Any) -> bool:
        if cut.step == at:
            cut.save()
            raise Interrupted("cut", 143)
        return take(**options)

    cut.train_step = until  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        cut.run()
    again = stable(tmp_path)
    assert again.resume()
    found = again.run()
    assert found.epochs == whole.epochs
    assert all(torch.equal(*pair) for pair in zip(weights_of(whole), weights_of(found), strict=True))
