"""The hand-written gradient against autograd on the loss as published, written the slow way."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.config import NegativesConfig
from model.loss import Scratch, grouped_top, kept_weights, sampled_softmax
from model.negatives import Negatives, draw

T, H, V, SESSIONS = 9, 6, 30, 4


def slow_loss(hidden: Tensor, table: Tensor, targets: Tensor, owners: Tensor, negatives: Negatives, top: int) -> Tensor:
    """Every draw its own column, in plain torch."""
    repeats = negatives.counts.long()
    ids = negatives.ids.repeat_interleave(repeats)
    uniform = len(ids) - len(negatives.owners)
    scores = hidden @ table[ids].T
    masked = ids == targets.unsqueeze(1)
    masked[:, uniform:] |= negatives.owners == owners.unsqueeze(1)
    best = scores.masked_fill(masked, -math.inf).topk(min(top, len(ids)), dim=1).values
    positive = (hidden * table[targets]).sum(1, keepdim=True)
    return (torch.cat([positive, best], 1).logsumexp(1) - positive.squeeze(1)).mean()


def example(seed: int, *, uniform: int, in_batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Negatives]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(T, H, generator=generator, requires_grad=True)
    table = torch.randn(V + 1, H, generator=generator, requires_grad=True)
    targets = torch.randint(1, V + 1, (T,), generator=generator)
    owners = torch.randint(SESSIONS, (T,), generator=generator)
    config = NegativesConfig(uniform=uniform, in_batch=in_batch)
    return hidden, table, targets, owners, draw(targets, owners, catalogue=V, config=config, generator=generator)


@pytest.mark.parametrize(
    ("uniform", "in_batch", "top"), [(20, 8, 10), (200, 5, 40), (10, 0, 100), (3, 2, 1), (500, 9, 7)]
)
@pytest.mark.parametrize("seed", range(4))
def test_loss_value_and_gradients_equal_autograd(uniform: int, in_batch: int, top: int, seed: int) -> None:
    hidden, table, targets, owners, negatives = example(seed, uniform=uniform, in_batch=in_batch)
    expected = slow_loss(hidden, table, targets, owners, negatives, top)
    expected_grads = torch.autograd.grad(expected, (hidden, table))
    found = sampled_softmax(hidden, table, targets, owners, negatives, top=top, scratch=Scratch())
    grads = torch.autograd.grad(found * 3.0, (hidden, table))
    torch.testing.assert_close(found, expected)
    for got, wanted in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(got, 3.0 * wanted, atol=1e-5, rtol=1e-4)


def test_loss_where_every_negative_is_masked_is_zero() -> None:
    hidden, table = torch.randn(2, H), torch.randn(V + 1, H)
    targets, owners = torch.tensor([4, 4]), torch.tensor([0, 0])
    negatives = Negatives(torch.tensor([4, 4]), torch.tensor([7.0, 1.0]), torch.tensor([0]))
    assert float(sampled_softmax(hidden, table, targets, owners, negatives, top=5, scratch=Scratch())) == 0.0


def test_loss_scratch_of_a_larger_batch_changes_nothing() -> None:
    scratch = Scratch()
    first = example(0, uniform=50, in_batch=8)
    fresh = sampled_softmax(*first, top=10, scratch=Scratch())
    sampled_softmax(*example(1, uniform=900, in_batch=8), top=10, scratch=scratch)
    assert torch.equal(fresh, sampled_softmax(*first, top=10, scratch=scratch))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 12), st.integers(0, 999))
def test_grouped_top_any_shape_equals_plain_topk(members: int, groups: int, count: int, seed: int) -> None:
    scores = torch.randn(5, members * groups, generator=torch.Generator().manual_seed(seed))
    count = min(count, members * groups)
    values, columns = grouped_top(scores, count, groups)
    expected = scores.topk(count, dim=1)
    assert torch.equal(values, expected.values)
    assert torch.equal(columns, expected.indices)


def test_kept_weights_counts_are_cut_at_the_limit() -> None:
    counts = torch.tensor([[2.0, 3.0, 1.0, 4.0]])
    assert kept_weights(counts, 4).tolist() == [[2.0, 2.0, 0.0, 0.0]]
    assert kept_weights(counts, 99).tolist() == counts.tolist()
