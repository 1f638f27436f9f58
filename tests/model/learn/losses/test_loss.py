"""The hand-written gradient of a batch against autograd on the loss as published, written the slow way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from model.learn.batches.negatives import Candidates, Sampler
from model.learn.config import LossConfig, NegativesConfig
from model.learn.losses import matmul as products_module
from model.learn.losses.loss import candidate_loss, own_negatives_loss
from model.learn.losses.matmul import Products
from model.learn.losses.objectives import RowLoss, row_loss
from tests.model.slow import LOSSES, Objective, slow_loss, slow_objective

T, H, V, SESSIONS = 23, 6, 30, 5
KINDS = {
    "everything": NegativesConfig(everything=True),
    "uniform": NegativesConfig(uniform=20),
    "uniform, drawn often": NegativesConfig(uniform=200),
    "popular": NegativesConfig(popular=9),
    "in-batch": NegativesConfig(uniform=10, in_batch=12),
    "popular and in-batch": NegativesConfig(popular=9, in_batch=12),
}


class Example(NamedTuple):
    """One batch and what it is compared with."""

    hidden: Tensor
    table: Tensor
    targets: Tensor
    sessions: Tensor
    candidates: Candidates
    row_loss: RowLoss
    slow: Objective


def example(negatives: NegativesConfig, config: LossConfig, seed: int = 0) -> Example:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(T, H, generator=generator, requires_grad=True)
    table = torch.randn(V + 1, H, generator=generator, requires_grad=True)
    targets = torch.randint(1, V + 1, (T,), generator=generator)
    sessions = torch.randint(SESSIONS, (T,), generator=generator)
    sampler = Sampler(negatives, np.arange(1, V + 1), loss=config)
    sizes = {"negatives": sampler.per_batch, "catalogue": V}
    candidates = sampler.draw(targets, sessions, generator)
    losses = row_loss(config, **sizes), slow_objective(config, **sizes)
    return Example(hidden, table, targets, sessions, candidates, *losses)


def fast(one: Example, *, top: int = 0, products: Products | None = None) -> Tensor:
    return candidate_loss(*one[:6], top=top, products=products or Products())


def assert_same_with_gradients(found: Tensor, expected: Tensor, one: Example) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    wanted = torch.autograd.grad(expected, (one.hidden, one.table))
    grads = torch.autograd.grad(found * 3.0, (one.hidden, one.table))
    for got, want in zip(grads, wanted, strict=True):
        torch.testing.assert_close(got, 3.0 * want, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["everything", "popular", "popular and in-batch"])
def test_loss_of_distinct_negatives_equals_autograd(kind: str, name: str) -> None:
    one = example(KINDS[kind], LOSSES[name])
    expected = slow_loss(one.hidden, one.table, one.targets, one.sessions, one.candidates, one.slow)
    assert_same_with_gradients(fast(one), expected, one)


@pytest.mark.parametrize("logq", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_softmax_counts_every_draw_and_corrects_it_where_asked(kind: str, logq: bool) -> None:
    one = example(KINDS[kind], LossConfig(logq=logq))
    expected = slow_loss(one.hidden, one.table, one.targets, one.sessions, one.candidates, one.slow)
    assert_same_with_gradients(fast(one), expected, one)


@pytest.mark.parametrize("least", [1, 7, T - 1, T, T + 1])
@pytest.mark.parametrize("top", [0, 5])
@pytest.mark.parametrize("kind", ["everything", "in-batch"])
def test_loss_any_size_of_chunks_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, kind: str, top: int, least: int
) -> None:
    one = example(KINDS[kind], LossConfig())
    whole = fast(one, top=top)
    monkeypatch.setattr(products_module, "CHUNK_LEAST", least)
    monkeypatch.setattr(products_module, "CHUNK_SCORES", 1)
    assert_same_with_gradients(fast(one, top=top), whole, one)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("uniform", "in_batch", "top"), [(20, 8, 10), (200, 5, 40), (10, 0, 100), (3, 2, 1), (500, 9, 7)]
)
def test_top_loss_each_draw_is_a_column_of_its_own(uniform: int, in_batch: int, top: int, seed: int) -> None:
    one = example(NegativesConfig(uniform=uniform, in_batch=in_batch, top=top), LossConfig(), seed)
    expected = slow_loss(one.hidden, one.table, one.targets, one.sessions, one.candidates, one.slow, top)
    assert_same_with_gradients(fast(one, top=top), expected, one)


@pytest.mark.parametrize("name", LOSSES)
def test_top_loss_any_objective_equals_autograd(name: str) -> None:
    one = example(NegativesConfig(everything=True, top=6), LOSSES[name])
    expected = slow_loss(one.hidden, one.table, one.targets, one.sessions, one.candidates, one.slow, 6)
    assert_same_with_gradients(fast(one, top=6), expected, one)


def test_top_loss_with_logq_corrects_before_it_chooses() -> None:
    one = example(NegativesConfig(popular=15, in_batch=9, top=5), LossConfig(logq=True))
    expected = slow_loss(one.hidden, one.table, one.targets, one.sessions, one.candidates, one.slow, 5)
    assert_same_with_gradients(fast(one, top=5), expected, one)


@pytest.mark.parametrize("top", [0, 5])
def test_loss_where_every_negative_is_masked_is_zero(top: int) -> None:
    hidden, table = torch.randn(2, H), torch.randn(V + 1, H)
    targets, sessions = torch.tensor([4, 4]), torch.tensor([0, 0])
    candidates = Candidates(torch.tensor([4, 4]), torch.tensor([7.0, 1.0]).log(), torch.tensor([0]), counted=True)
    arguments = (hidden, table, targets, sessions, candidates, row_loss(LossConfig(), negatives=2, catalogue=V))
    assert float(candidate_loss(*arguments, top=top, products=Products())) == 0.0


@pytest.mark.parametrize("top", [0, 10])
def test_loss_buffers_of_a_larger_batch_change_nothing(top: int) -> None:
    products = Products()
    one = example(KINDS["in-batch"], LossConfig())
    fresh = fast(one, top=top)
    fast(example(NegativesConfig(uniform=900, in_batch=8), LossConfig(), 1), top=top, products=products)
    assert torch.equal(fresh, fast(one, top=top, products=products))


@pytest.mark.parametrize("top", [0, 10])
@pytest.mark.parametrize("kind", ["everything", "in-batch"])
def test_loss_in_bfloat16_is_close_to_float32(kind: str, top: int) -> None:
    one = example(KINDS[kind], LossConfig())
    exact, rough = fast(one, top=top), fast(one, top=top, products=Products("bfloat16"))
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=0.01)
    wanted, found = (torch.autograd.grad(value, (one.hidden, one.table)) for value in (exact, rough))
    for want, got in zip(wanted, found, strict=True):
        assert got.dtype == torch.float32
        assert float((got - want).norm() / want.norm()) < 0.02


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("each", [1, 4])
def test_own_negatives_loss_equals_autograd(name: str, each: int) -> None:
    one = example(NegativesConfig(uniform=each), LOSSES[name])
    negatives = torch.randint(1, V + 1, (T, each), generator=torch.Generator().manual_seed(1))
    negatives[0, 0] = one.targets[0]  # a hit: it must not count
    found = own_negatives_loss(one.hidden, one.table, one.targets, negatives, one.row_loss)
    rows = zip(one.hidden, one.targets, negatives, strict=True)
    losses = [one.slow(one.table[own] @ h, one.table[others[others != own]] @ h) for h, own, others in rows]
    assert_same_with_gradients(found, torch.stack(losses).mean(), one)
