"""Training learns, repeats itself by its seed, keeps the best epoch, and ends when it should."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from model.data.log import SessionLog
from model.errors import TrainingError
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.protocol import evaluate
from model.learn.batches.negatives import Candidates
from model.learn.seeds import seed_of
from model.learn.train import Trainer, train
from model.learn.trained import Trained
from model.machine.threads import use_threads
from model.nets.encoders import new_encoder
from model.reports.progress import Progress
from tests.model.tiny import tiny_encoder, tiny_log, tiny_logq, tiny_preset

pytestmark = pytest.mark.slow


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.encoders[0].state_dict()


def assert_same(one: Trained, other: Trained) -> None:
    assert one.history == other.history
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def run(directory: Path | None = None, **options: Any) -> Trained:
    return train(tiny_log(200), tiny_log(40, seed=1), tiny_preset(**options), run="r", directory=directory)


def test_train_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    torch.manual_seed(1)
    one = run()
    torch.manual_seed(2)
    assert_same(one, run())
    assert not torch.equal(weights(one)["items.weight"], weights(run(seed=5))["items.weight"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ema": 0.9, "schedule": "cosine", "warmup": 5},
        {"lazy": True},
        {"lazy": True, "masked": True},
        {"objective": "bpr-max", "rule": "adagrad", "lr": 0.1},
        {"masked": True},
        {"kind": "gru", "residual": True},
        {"positions": "end"},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_train_learns_more_than_popularity(options: dict[str, Any]) -> None:
    log, valid = tiny_log(600), tiny_log(60, seed=1)
    trained = train(log, valid, tiny_preset(**{"epochs": 5, "lr": 0.01, **options}))
    popular = evaluate(make_baseline("popularity", log), valid).to_json()
    assert trained.valid["mrr@20"] > 1.7 * popular["mrr@20"]
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


def test_train_best_epoch_is_kept_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    recalls = iter([0.5, 0.9, 0.7])
    monkeypatch.setattr("model.learn.train.validate", lambda *_, **__: {"recall@20": next(recalls), "mrr@20": 0.1})
    best = run(epochs=3)
    recalls = iter([0.5, 0.9])
    assert best.valid["recall@20"] == 0.9
    assert torch.equal(weights(best)["items.weight"], weights(run(epochs=2))["items.weight"])


def test_train_recall_that_is_always_1_leaves_the_choice_to_mrr(monkeypatch: pytest.MonkeyPatch) -> None:
    reciprocal = iter([0.2, 0.4, 0.3])
    monkeypatch.setattr("model.learn.train.validate", lambda *_, **__: {"recall@20": 1.0, "mrr@20": next(reciprocal)})
    assert run(epochs=3).valid["mrr@20"] == 0.4


def test_train_weights_that_blow_up_in_the_last_step_are_an_error_and_not_the_best() -> None:
    trainer = Trainer(tiny_log(50), tiny_log(10), tiny_preset(), run="r")
    trainer.train_step()
    with torch.no_grad():
        next(trainer.encoder.norm.parameters()).fill_(float("nan"))  # type: ignore[union-attr]
    with pytest.raises(TrainingError, match="not finite"):
        trainer.end_epoch()
    assert trainer.best is None


def test_train_many_short_epochs_are_validated_now_and_then() -> None:
    log, valid = tiny_log(10), tiny_log(4)  # one step an epoch
    trained = train(log, valid, tiny_preset(epochs=1, min_steps=120))
    assert [entry["epoch"] for entry in trained.history] == [float(epoch) for epoch in range(3, 121, 3)]


def test_train_average_of_the_weights_is_validated_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def validate(encoders: Any, *_: Any, **__: Any) -> dict[str, float]:
        seen.append(encoders[0].table.detach().clone())
        return {"recall@20": 0.5, "mrr@20": 0.1}

    monkeypatch.setattr("model.learn.train.validate", validate)
    trainer = Trainer(tiny_log(200), tiny_log(4), tiny_preset(epochs=1, ema=0.9), run="r")
    trained = trainer.run()
    assert trainer.average is not None
    kept = weights(trained)["items.weight"]
    assert torch.equal(kept, seen[0])
    assert any(torch.equal(kept, mean) for mean in trainer.average.mean)
    assert not torch.equal(kept, weights(run(epochs=1))["items.weight"])


def test_train_part_of_an_epoch_ends_with_a_validation() -> None:
    trained = run(epochs=1.5)  # 13 steps an epoch
    assert [entry["epoch"] for entry in trained.history] == [1.0, 1.5385]
    assert trained.epochs == 1.5385


def test_train_preset_made_for_a_larger_log_takes_more_passes() -> None:
    assert run(epochs=1, reference=800).epochs == 2.0


def test_train_time_limit_stops_and_still_validates() -> None:
    trained = run(epochs=10_000, max_seconds=0.3)
    assert 0 < trained.epochs < 10_000
    assert trained.valid["predictions"] > 0
    assert trained.history[-1]["epoch"] == trained.epochs


def test_train_time_limit_ends_the_schedule_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**6))
    monkeypatch.setattr("model.learn.train.time.monotonic", lambda: float(next(now)))
    trainer = Trainer(tiny_log(200), tiny_log(4), tiny_preset(epochs=99, schedule="cosine", max_seconds=500), run="r")
    trainer.run()
    assert trainer.done() == 1.0
    assert trainer.step < trainer.total / 2
    assert trainer.optimizer.rule.param_groups[0]["lr"] < 0.001 * trainer.preset.train.lr


def test_train_last_steps_take_the_negatives_of_the_end() -> None:
    preset = tiny_logq(epochs=2, popular=4, popular_at_end=20, ending=0.25)
    trainer, drawn = Trainer(tiny_log(200), tiny_log(4), preset, run="r"), []
    draw = trainer.draws.draw

    def watch(*args: Any, **options: Any) -> Any:
        batch, candidates = draw(*args, **options)
        assert isinstance(candidates, Candidates)
        drawn.append(len(candidates.ids) if candidates.ids is not None else 40)
        return batch, candidates

    trainer.draws.draw = watch  # type: ignore[method-assign]
    trainer.run()
    assert len(drawn) == 26
    assert max(drawn[:19]) <= 5
    assert min(drawn[20:]) >= 19


@pytest.mark.parametrize("lazy", [False, True])
def test_train_non_finite_loss_is_an_error(lazy: bool) -> None:
    trainer = Trainer(tiny_log(50), tiny_log(10), tiny_preset(lazy=lazy), run="r")
    with torch.no_grad():
        next(trainer.encoder.norm.parameters()).fill_(float("nan"))  # type: ignore[union-attr]
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


def test_train_validates_on_as_many_sessions_as_asked_for() -> None:
    log = tiny_log(40, seed=1)
    assert run(epochs=1, valid_sessions=7).valid["predictions"] == log.thinned(7).clicks - 7
    assert run(epochs=1).valid["predictions"] == log.clicks - 40


def test_thinned_sessions_are_distinct_in_order_and_over_the_whole_time() -> None:
    log = tiny_log(40)
    for sessions in (1, 2, 17, 39):
        few = log.thinned(sessions)
        assert few.sessions == sessions
        assert (np.diff(few.ts[few.offsets[:-1]]) > 0).all()
    assert (log.thinned(2).first_ts, log.thinned(2).last_ts) == (log.first_ts, log.last_ts)
    assert log.thinned(40) is log.thinned(None) is log


def test_train_progress_counts_steps_and_reports_each_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []
    monkeypatch.setattr("model.learn.train.REPORT_EVERY", 0.0)
    train(tiny_log(200), tiny_log(40, seed=1), tiny_preset(), run="r", on_progress=seen.append)
    steps = [(p.epoch, p.step) for p in seen if p.stage == "train"]
    assert steps == [(epoch, step) for epoch in (1, 2) for step in range(1, 14)]
    assert [p.epoch for p in seen if p.stage == "validate"] == [1, 2]
    assert all(p.steps == 13 and p.sessions_per_s > 0 and math.isfinite(p.loss) for p in seen)


@pytest.mark.parametrize("options", [{}, {"lazy": True}, {"masked": True}, {"masked": True, "lazy": True}], ids=str)
def test_train_leaves_the_padding_row_zero(options: dict[str, Any]) -> None:
    assert (weights(run(**options))["items.weight"][0] == 0).all()


@pytest.mark.parametrize(
    ("options", "lazy"),
    [({}, False), ({"lazy": True}, True), ({"everything": True, "lazy": True}, False), ({"items": 9_000}, True)],
)
def test_train_moves_touched_rows_only_where_the_catalogue_is_large(options: dict[str, Any], lazy: bool) -> None:
    items = options.pop("items", 40)
    preset = tiny_preset(**options, **({"uniform": 0, "in_batch": 0} if "everything" in options else {}))
    trainer = Trainer(tiny_log(50, items=items), tiny_log(4, items=items), preset, run="r")
    assert trainer.lazy == lazy
    trainer.train_step()


def test_train_takes_every_row_where_any_sampler_takes_everything() -> None:
    for popular, at_end in ((39, 5), (5, 39)):
        preset = tiny_logq(popular=popular, popular_at_end=at_end, lazy=True, epochs=1)
        trainer = Trainer(tiny_log(50), tiny_log(4), preset, run="r")
        assert not trainer.lazy
        trainer.run()


def test_seed_of_different_purposes_and_steps_differ() -> None:
    assert len({seed_of(0, purpose, step) for purpose in range(3) for step in range(1000)}) == 3000


def test_new_encoder_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    new_encoder(tiny_preset(), 5)
    assert torch.equal(torch.rand(1), expected)
    assert not torch.equal(tiny_encoder(seed=1).table, tiny_encoder(seed=2).table)


def test_use_threads_shares_the_cores_among_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.machine.threads.usable_cores", lambda: 8)
    given: list[int] = []
    monkeypatch.setattr("model.machine.threads.torch.set_num_threads", given.append)
    assert use_threads(0) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert (use_threads(0), use_threads(5)) == (2, 5)
    assert given == [8, 2, 5]


def test_trained_figures_are_of_the_training() -> None:
    trained = run(epochs=2)
    assert dataclasses.asdict(trained).keys() >= {"epochs", "seconds", "sessions_per_s", "valid", "history"}
    assert trained.sessions_per_s == pytest.approx(400 / trained.seconds)
    assert not trained.encoders[0].training
