"""Rates follow their schedule, rows that were not touched stay, and the average follows the weights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from model.learn.config import Rule, TrainConfig
from model.learn.optimizer import AVERAGE_EVERY, Average, Optimizer, is_lazy
from model.learn.train import train
from model.nets.encoders import new_encoder
from tests.model.tiny import tiny_encoder, tiny_log, tiny_logq

ITEMS, TOUCHED = 12, torch.tensor([2, 5, 11])


def test_optimizer_sets_the_rate_of_a_step() -> None:
    optimizer = Optimizer(tiny_encoder(), TrainConfig(lr=0.2, warmup=4), lazy=False)
    assert optimizer.set_rate(0.5) == pytest.approx(0.1)
    assert optimizer.rule.param_groups[0]["lr"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("lazy", "catalogue", "touched", "expected"),
    [(None, 1_000, 100, True), (None, 400, 100, False), (False, 10**6, 1, False), (True, 1, 1, True)],
)
def test_is_lazy_where_the_catalogue_is_large_or_as_told(
    lazy: bool | None, catalogue: int, touched: int, expected: bool
) -> None:
    assert is_lazy(TrainConfig(lazy=lazy), catalogue=catalogue, touched=touched) == expected


class Pair:
    """Two equal encoders, one moved densely and one by the rows touched."""

    def __init__(self, rule: Rule) -> None:
        config = TrainConfig(rule=rule, lr=0.1)
        self.dense, self.lazy = (tiny_encoder(items=ITEMS, hidden=4, layers=1, feed_forward=4) for _ in range(2))
        self.first = self.dense.table.detach().clone()
        self.rules = Optimizer(self.dense, config, lazy=False), Optimizer(self.lazy, config, lazy=True)
        self.steps = 0

    def move(self, ids: Tensor) -> None:
        grads = torch.randn(len(ids), 4, generator=torch.Generator().manual_seed(self.steps))
        self.dense.table.grad = torch.zeros(ITEMS + 1, 4).index_copy(0, ids, grads)
        self.rules[0].step()
        self.rules[1].step_rows(self.lazy.table, ids, grads, step=self.steps, rate=0.1)
        self.steps += 1

    def rows(self) -> tuple[Tensor, Tensor]:
        return self.dense.table.detach(), self.lazy.table.detach()


@pytest.mark.parametrize("rule", ["adam", "adagrad"])
def test_lazy_first_step_equals_the_dense_one_and_leaves_other_rows_alone(rule: Rule) -> None:
    pair = Pair(rule)
    pair.move(TOUCHED)
    dense, lazy = pair.rows()
    torch.testing.assert_close(lazy, dense, atol=1e-6, rtol=1e-5)
    others = [row for row in range(ITEMS + 1) if row not in TOUCHED.tolist()]
    assert torch.equal(lazy[others], pair.first[others])
    assert not torch.isclose(lazy[TOUCHED], pair.first[TOUCHED]).any()


def test_lazy_adagrad_equals_the_dense_one_always() -> None:
    pair = Pair("adagrad")
    for step in range(30):
        pair.move(torch.arange(1, ITEMS + 1)[step % 3 :: 3])
    torch.testing.assert_close(*pair.rows(), atol=1e-5, rtol=1e-4)


def test_lazy_adam_equals_the_dense_one_where_every_step_touches_the_row() -> None:
    pair = Pair("adam")
    for _ in range(30):
        pair.move(TOUCHED)
    dense, lazy = pair.rows()
    torch.testing.assert_close(lazy[TOUCHED], dense[TOUCHED], atol=1e-5, rtol=1e-4)


def test_lazy_adam_row_stands_still_between_the_steps_that_touch_it() -> None:
    pair = Pair("adam")
    pair.move(TOUCHED)
    before = pair.rows()[1][TOUCHED].clone()
    pair.move(torch.tensor([1]))
    assert torch.equal(pair.rows()[1][TOUCHED], before)


@pytest.mark.parametrize("rule", ["adam", "adagrad"])
def test_optimizer_goes_on_from_its_state(rule: Rule) -> None:
    pair = Pair(rule)
    for _ in range(3):
        pair.move(TOUCHED)
    again = Pair(rule)
    again.lazy.load_state_dict(pair.lazy.state_dict())
    again.rules[1].load_state_dict(pair.rules[1].state_dict())
    again.steps = pair.steps
    again.move(TOUCHED)
    pair.move(TOUCHED)
    assert torch.equal(again.rows()[1], pair.rows()[1])


def test_optimizer_state_of_another_kind_is_refused() -> None:
    dense, lazy = Pair("adam").rules
    with pytest.raises(ValueError, match="doesn't match"):
        lazy.load_state_dict(dense.state_dict())


@pytest.mark.slow
def test_lazy_training_of_a_large_catalogue_is_about_as_good_as_a_dense_one() -> None:
    log, valid = tiny_log(600, items=400), tiny_log(100, seed=1, items=400)
    options: dict[str, Any] = {"popular": 16, "epochs": 8, "lr": 0.02}
    dense = train(log, valid, tiny_logq(lazy=False, **options))
    lazy = train(log, valid, tiny_logq(lazy=True, **options))
    assert dense.valid["recall@20"] > 0.3
    assert lazy.valid["recall@20"] == pytest.approx(dense.valid["recall@20"], abs=0.06)


@pytest.mark.slow
def test_lazy_training_leaves_items_that_never_occur_as_they_were() -> None:
    log, preset = tiny_log(60, items=400, longest=10), tiny_logq(lazy=True, epochs=1, popular=3, alpha=2.0)
    weight = train(log, tiny_log(20, seed=1, items=400), preset).encoders[0].table
    unmoved = (weight == new_encoder(preset, 400).table).all(dim=1)
    assert unmoved[0]
    assert not unmoved[log.items].any()
    assert 10 < int(unmoved.sum()) < 300


def test_average_swapped_twice_is_as_it_was() -> None:
    weight = torch.randn(5)
    average = Average([weight], 0.9)
    average.mean[0].add_(1.0)
    first, mean = weight.clone(), average.mean[0].clone()
    average.swap()
    assert torch.equal(weight, mean)
    average.swap()
    assert torch.equal(weight, first)
    assert torch.equal(average.mean[0], mean)


def test_average_begins_with_the_weights_and_follows_them_slowly() -> None:
    weight = torch.zeros(3)
    average = Average([weight], 0.99)
    weight.fill_(1.0)
    for step in range(AVERAGE_EVERY):
        average.update(step)
    assert average.mean[0].tolist() == [1.0] * 3  # what was there before the first update is nothing learned
    weight.fill_(2.0)
    seen = []
    for step in range(AVERAGE_EVERY, 400 * AVERAGE_EVERY):
        average.update(step)
        seen.append(float(average.mean[0][0]))
    assert all(later >= earlier for earlier, later in pairwise(seen))
    assert 1.0 < seen[AVERAGE_EVERY] < 2.0
    assert seen[-1] == pytest.approx(2.0, abs=1e-3)
    assert average.updates == 400


def test_average_goes_on_from_its_state() -> None:
    one, weight = Average([torch.zeros(3)], 0.9), torch.ones(3)
    other = Average([weight], 0.9)
    for step in range(3 * AVERAGE_EVERY):
        other.update(step)
    one.load_state_dict(other.state_dict())
    assert one.updates == 3
    assert torch.equal(one.mean[0], other.mean[0])
