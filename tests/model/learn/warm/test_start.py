"""A new model begins with what an earlier one learned, matched by the shop's item ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from model.data.log import SessionLog
from model.errors import CheckpointError
from model.learn import checkpoint
from model.learn.train import Trainer, train
from model.learn.warm import start as warm_start
from model.learn.warm.start import start_from
from model.nets.encoders import new_encoder
from tests.model.learn.test_train import run
from tests.model.tiny import tiny_log, tiny_preset

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", [{}, {"kind": "gru", "residual": True}, {"masked": True}], ids=str)
def test_start_from_known_items_keep_their_rows_and_new_ones_are_fresh(tmp_path: Path, options: dict[str, Any]) -> None:
    old = run(tmp_path, **options).encoders[0]
    vocabulary = Vocabulary(["new-item", "item-7", "item-1"])
    fresh = new_encoder(tiny_preset(**options), 3)
    untouched = fresh.table[1].clone()
    assert start_from(fresh, vocabulary, tmp_path) == 2
    assert torch.equal(fresh.table[1], untouched)
    assert torch.equal(fresh.table[2], old.table[7])
    assert torch.equal(fresh.table[3], old.table[1])
    for name, weight in fresh.named_parameters():
        assert name == "items.weight" or torch.equal(weight, old.get_parameter(name))


@pytest.mark.parametrize("at_a_time", [1, 2, 100])
def test_start_from_new_items_begin_beside_those_they_are_clicked_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(warm_start, "_SESSIONS", at_a_time)
    old = run(tmp_path).encoders[0].table
    vocabulary = Vocabulary(["new-1", "item-7", "item-1", "new-2", "new-3"])
    sessions = [[2, 3, 1], [1, 3], [4, 5], [2, 3], [1, 1, 2], [5]]  # new-1 with both; new-2 and new-3 with none
    log = SessionLog(
        items=np.array([item for items in sessions for item in items], np.int32),
        offsets=np.cumsum([0, *map(len, sessions)]),
        ts=np.arange(13, dtype=np.int64),
        vocabulary=vocabulary,
    )
    fresh = new_encoder(tiny_preset(), 5)
    untouched = fresh.table.detach().clone()
    assert start_from(fresh, vocabulary, tmp_path, log) == 2
    seven, one = old[7], old[1]
    torch.testing.assert_close(fresh.table[1], ((seven + one) / 2 + one + seven + seven) / 4)
    assert torch.equal(fresh.table[2], seven)
    assert torch.equal(fresh.table[4:], untouched[4:])
    assert torch.equal(fresh.table[0], untouched[0])


@pytest.mark.parametrize("options", [{"positions": "end"}, {"hidden": 8}, {"kind": "gru"}], ids=str)
def test_start_from_another_encoder_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="another encoder"):
        start_from(new_encoder(tiny_preset(**options), 3), Vocabulary(["a", "b", "c"]), tmp_path)


def test_start_from_an_encoder_with_other_dropout_is_fine(tmp_path: Path) -> None:
    run(tmp_path)
    fresh = new_encoder(tiny_preset(dropout=0.4, input_dropout=0.2), 3)
    assert start_from(fresh, Vocabulary(["item-1", "b", "c"]), tmp_path) == 1


def test_start_from_a_checkpoint_before_the_first_validation_takes_its_newest_weights(tmp_path: Path) -> None:
    trainer = Trainer(tiny_log(200), tiny_log(4), tiny_preset(), run="r", directory=tmp_path)
    trainer.train_step()
    trainer.save()
    fresh = new_encoder(tiny_preset(seed=1), 1)
    start_from(fresh, Vocabulary(["item-9"]), tmp_path)
    assert torch.equal(fresh.table[1], trainer.encoder.table[9])


def test_start_from_what_is_no_training_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 3})
    with pytest.raises(CheckpointError, match="no model"):
        start_from(new_encoder(tiny_preset(), 3), Vocabulary(["a", "b", "c"]), tmp_path)


@pytest.mark.parametrize("options", [{}, {"ema": 0.99}, {"lazy": True}], ids=str)
def test_train_warm_start_begins_better_than_cold(tmp_path: Path, options: dict[str, Any]) -> None:
    log, valid = tiny_log(400), tiny_log(60, seed=1)
    train(log, valid, tiny_preset(epochs=6), run="r", directory=tmp_path)
    preset = tiny_preset(epochs=1, **options)
    warm, cold = train(log, valid, preset, init_from=tmp_path), train(log, valid, preset)
    assert warm.history[0]["loss"] < cold.history[0]["loss"]
    assert warm.valid["recall@20"] > cold.valid["recall@20"]
