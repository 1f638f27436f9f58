"""Training learns, repeats itself by its seed, and continues after a kill as if nothing had happened."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from export.vocabulary import Vocabulary
from model import checkpoint
from model.baselines import make_baseline
from model.errors import CheckpointError, TrainingError
from model.evaluate import evaluate
from model.log import SessionLog
from model.progress import Progress
from model.train import Trained, Trainer, new_encoder, seed_of, train
from model.warm_start import start_from
from tests.model.tiny import tiny_log, tiny_preset

ROOT = Path(__file__).parents[2]
SLOW_TRAINING = """
import sys, time
from pathlib import Path
from model.train import Trainer
from tests.model.tiny import tiny_log, tiny_preset
trainer = Trainer(tiny_log(200), tiny_log(40, seed=1), tiny_preset(), run="r", directory=Path(sys.argv[1]))
step = trainer.train_step
def slow():
    step(); trainer.save(); print(trainer.step, flush=True); time.sleep(0.05)
trainer.train_step = slow
trainer.run()
"""


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.encoder.state_dict()


def assert_same(one: Trained, other: Trained) -> None:
    assert [h["loss"] for h in one.history] == [h["loss"] for h in other.history]
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def run(directory: Path | None = None, **options: object) -> Trained:
    return train(tiny_log(200), tiny_log(40, seed=1), tiny_preset(**options), run="r", directory=directory)


def test_train_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    torch.manual_seed(1)
    one = run()
    torch.manual_seed(2)
    assert_same(one, run())
    assert not torch.equal(weights(one)["items.weight"], weights(run(seed=5))["items.weight"])


def test_train_resumed_after_sigkill_equals_uninterrupted(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("stop", [1, 12, 13, 14, 25])
def test_train_resumed_at_any_step_equals_uninterrupted(tmp_path: Path, stop: int) -> None:
    first = Trainer(tiny_log(200), tiny_log(40, seed=1), tiny_preset(), run="r", directory=tmp_path)
    for _ in range(stop):
        first.train_step()
        if first.step % first.steps == 0:
            first.end_epoch()
    first.save()
    assert_same(run(), run(tmp_path))


def test_train_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    one = run(tmp_path)
    written = checkpoint.load(tmp_path)["seconds"]
    again = run(tmp_path)
    assert_same(one, again)
    assert again.seconds == written


def test_train_without_resume_starts_anew(tmp_path: Path) -> None:
    run(tmp_path, seed=3)
    log, valid = tiny_log(200), tiny_log(40, seed=1)
    assert_same(run(), train(log, valid, tiny_preset(), run="r", directory=tmp_path, resume=False))


def test_train_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="another training"):
        train(tiny_log(200), tiny_log(40), tiny_preset(), run="other", directory=tmp_path)


def test_train_learns_more_than_popularity() -> None:
    log, valid = tiny_log(600), tiny_log(60, seed=1)
    trained = train(log, valid, tiny_preset(epochs=6), run="r")
    popular = evaluate(make_baseline("popularity", log), valid).to_json()
    assert trained.valid["mrr@20"] > 2 * popular["mrr@20"]
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


def test_train_best_epoch_is_kept_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    recalls = iter([0.5, 0.9, 0.7])
    monkeypatch.setattr("model.train.validate", lambda *_, **__: {"recall@20": next(recalls)})
    best = run(epochs=3)
    recalls = iter([0.5, 0.9])
    assert best.valid["recall@20"] == 0.9
    assert torch.equal(weights(best)["items.weight"], weights(run(epochs=2))["items.weight"])


def test_train_time_limit_stops_and_still_validates() -> None:
    trained = run(epochs=10_000, max_seconds=0.3)
    assert 0 < trained.epochs < 10_000
    assert trained.valid["predictions"] > 0


def test_train_non_finite_loss_is_an_error() -> None:
    trainer = Trainer(tiny_log(50), tiny_log(10), tiny_preset(), run="r")
    with torch.no_grad():
        trainer.encoder.norm.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="learning rate"):
        trainer.train_step()


def test_train_empty_log_is_an_error() -> None:
    empty = SessionLog(
        items=np.empty(0, np.int32),
        offsets=np.zeros(1, np.int64),
        ts=np.empty(0, np.int64),
        vocabulary=Vocabulary(["a"]),
    )
    with pytest.raises(TrainingError, match="no session"):
        train(empty, tiny_log(10), tiny_preset(), run="r")


def test_train_progress_counts_steps_and_reports_each_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []
    monkeypatch.setattr("model.train.REPORT_EVERY", 0.0)
    train(tiny_log(200), tiny_log(40, seed=1), tiny_preset(), run="r", on_progress=seen.append)
    steps = [(p.epoch, p.step) for p in seen if p.stage == "train"]
    assert steps == [(epoch, step) for epoch in (1, 2) for step in range(1, 14)]
    assert [p.epoch for p in seen if p.stage == "validate"] == [1, 2]
    assert all(p.steps == 13 and p.sessions_per_s > 0 and p.loss == p.loss for p in seen)


def test_train_leaves_the_padding_row_zero() -> None:
    assert (weights(run())["items.weight"][0] == 0).all()


def test_seed_of_different_purposes_and_steps_differ() -> None:
    assert len({seed_of(0, purpose, step) for purpose in range(3) for step in range(1000)}) == 3000


def test_start_from_known_items_keep_their_rows_and_new_ones_are_fresh(tmp_path: Path) -> None:
    old = run(tmp_path)
    vocabulary = Vocabulary(["new-item", "item-7", "item-1"])
    fresh = new_encoder(tiny_preset(), 3)
    untouched = fresh.items.weight[1].clone()
    assert start_from(fresh, vocabulary, tmp_path) == 2
    assert torch.equal(fresh.items.weight[1], untouched)
    assert torch.equal(fresh.items.weight[2], old.encoder.items.weight[7])
    assert torch.equal(fresh.items.weight[3], old.encoder.items.weight[1])
    assert torch.equal(fresh.positions.weight, old.encoder.positions.weight)


def test_start_from_another_encoder_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    preset = tiny_preset()
    other = dataclasses.replace(preset, encoder=dataclasses.replace(preset.encoder, positions="end"))
    with pytest.raises(CheckpointError, match="another encoder"):
        start_from(new_encoder(other, 3), Vocabulary(["a", "b", "c"]), tmp_path)


def test_train_warm_start_begins_better_than_cold(tmp_path: Path) -> None:
    log, valid = tiny_log(400), tiny_log(60, seed=1)
    train(log, valid, tiny_preset(epochs=6), run="r", directory=tmp_path)
    preset = tiny_preset(epochs=1)
    warm = train(log, valid, preset, run="w", init_from=tmp_path)
    assert warm.history[0]["loss"] < train(log, valid, preset, run="c").history[0]["loss"]
