"""Pooled dropout drops the share asked for and keeps the expectation."""

from __future__ import annotations

import torch

from model.nets import dropout
from model.nets.dropout import PooledDropout


def test_dropout_in_training_zeroes_the_share_and_scales_the_rest() -> None:
    layer = PooledDropout(0.25)
    layer.seed(1)
    layer.begin_step(2)
    out = layer(torch.ones(1000, 200))
    assert abs(float((out == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(out.mean()) - 1.0) < 0.02


def test_dropout_batch_larger_than_the_pool_still_works() -> None:
    layer = PooledDropout(0.5)
    layer.seed(1)
    x = torch.ones(dropout.POOL + 10)
    assert layer(x).shape == x.shape


def test_dropout_mask_of_a_step_does_not_depend_on_larger_ones_before() -> None:
    masks = []
    for before in ([], [3 * dropout.POOL], [dropout.POOL, 10]):
        layer = PooledDropout(0.5)
        layer.seed(1)
        for count in before:
            layer(torch.ones(count))
        layer.begin_step(2)
        masks.append([layer(torch.ones(count)) for count in (100, dropout.POOL - 7, 2 * dropout.POOL)])
    for found in masks[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found, masks[0], strict=True))


def test_dropout_in_eval_returns_the_input() -> None:
    layer = PooledDropout(0.5).eval()
    x = torch.ones(4, 4)
    assert layer(x) is x


def test_dropout_mask_is_where_the_input_is() -> None:
    for seeded in (True, False):
        layer = PooledDropout(0.5)
        if seeded:
            layer.seed(1)
        assert layer(torch.ones(4, 4, device="meta")).device.type == "meta"


def test_dropout_same_seeds_give_the_same_mask_and_other_steps_another() -> None:
    masks = []
    for step in (3, 3, 4):
        layer = PooledDropout(0.5)
        layer.seed(1)
        layer.begin_step(step)
        masks.append(layer(torch.ones(64)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_dropout_has_no_pool_before_a_mask_is_asked_for_and_makes_the_same_again() -> None:
    layer = PooledDropout(0.5)
    layer.seed(1)
    masks = []
    for _ in range(2):
        assert layer._pool.numel() == 0
        layer.begin_step(2)
        masks.append(layer(torch.ones(64)))
        assert layer._pool.numel() == dropout.POOL
        layer.forget()
    assert torch.equal(masks[0], masks[1])
