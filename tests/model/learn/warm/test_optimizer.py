"""An optimizer that goes on as another one would: its moments go with the rows that they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from model.learn.optimizer import Optimizer
from model.learn.train import Trainer
from model.learn.warm.optimizer import go_on_with
from model.learn.warm.start import start_from
from model.nets.encoders import new_encoder
from tests.model.tiny import ITEMS, tiny_log, tiny_preset


def trainer(directory: Path | None = None, **options: Any) -> Trainer:
    return Trainer(tiny_log(60), tiny_log(4), tiny_preset(**options), run="r", directory=directory)


def trained(folder: Path, steps: int = 5, **options: Any) -> Trainer:
    found = trainer(folder, **options)
    for _ in range(steps):
        found.train_step()
    found.save()
    return found


@pytest.mark.parametrize("lazy", [False, True])
def test_go_on_takes_the_step_that_the_other_would_have_taken(tmp_path: Path, lazy: bool) -> None:
    first = trained(tmp_path, lazy=lazy)
    other = trainer(lazy=lazy)
    start_from(other.encoder, other.log.vocabulary, tmp_path)
    assert go_on_with(other.optimizer, other.encoder, other.log.vocabulary, tmp_path)
    chosen = torch.arange(16)
    other.step = first.step  # the same dropout and negatives
    other.optimizer.steps_before = 0  # which say how many steps there were
    first.update(chosen)
    other.update(chosen)
    for one, two in zip(first.encoder.parameters(), other.encoder.parameters(), strict=True):
        known = 1 if one is first.encoder.weight else 0  # the padding's row begins afresh
        assert torch.allclose(one[known:], two[known:], atol=1e-7)


@pytest.mark.parametrize("lazy", [False, True])
def test_go_on_matches_rows_by_item_and_gives_new_items_an_average_rows(tmp_path: Path, lazy: bool) -> None:
    first = trained(tmp_path, lazy=lazy)
    encoder = new_encoder(tiny_preset(lazy=lazy), 2)
    optimizer = Optimizer(encoder, tiny_preset(lazy=lazy).train, lazy=lazy)
    assert go_on_with(optimizer, encoder, Vocabulary(["item-7", "never seen"]), tmp_path)
    assert optimizer.steps_before == first.step
    index = next(i for i, weight in enumerate(encoder.parameters()) if weight is encoder.weight)
    if lazy:
        theirs, ours = first.optimizer.moments[1], optimizer.moments[1]
    else:
        theirs = first.optimizer.rule.state_dict()["state"][index]["exp_avg_sq"]
        ours = optimizer.rule.state_dict()["state"][index]["exp_avg_sq"]
    assert theirs.shape[0] == ITEMS + 1
    assert torch.equal(ours[1], theirs[7])
    assert torch.allclose(ours[2], theirs.mean(dim=0))


def test_go_on_with_what_moves_other_weights_is_left(tmp_path: Path) -> None:
    trained(tmp_path, lazy=True)
    encoder = new_encoder(tiny_preset(), 2)
    assert not go_on_with(
        Optimizer(encoder, tiny_preset().train, lazy=False), encoder, Vocabulary(["a", "b"]), tmp_path
    )


def test_go_on_by_another_rule_is_left(tmp_path: Path) -> None:
    trained(tmp_path, lazy=False)
    encoder, config = new_encoder(tiny_preset(), 2), tiny_preset(rule="adagrad").train
    assert not go_on_with(Optimizer(encoder, config, lazy=False), encoder, Vocabulary(["a", "b"]), tmp_path)
