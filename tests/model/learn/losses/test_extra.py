"""Own negatives and weights in the loss: gradients by hand against autograd on the loss written the slow way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model.learn.batches.negatives import mask_
from model.learn.config import LossConfig, NegativesConfig
from model.learn.losses import matmul as products_module
from model.learn.losses.extra import Extra
from model.learn.losses.loss import candidate_loss, own_negatives_loss
from model.learn.losses.matmul import Products
from tests.model.learn.losses.test_loss import Example, T, V, assert_same_with_gradients, example
from tests.model.slow import LOSSES

N = 4


def extra_for(one: Example, *, bias: float = 0.0, weights: bool = False) -> Extra:
    generator = torch.Generator().manual_seed(7)
    own = torch.randint(0, V + 1, (T, N), generator=generator)
    own[own == one.targets.unsqueeze(1)] = 0
    own[3] = 0  # a session that skipped nothing
    counts = torch.rand(T, generator=generator) * 2 if weights else None
    return Extra(own, bias, counts)


def slow(one: Example, extra: Extra, top: int) -> Tensor:
    """Each position by itself: drawn negatives, the best of them, then its own."""
    losses = []
    ids = one.candidates.ids if one.candidates.ids is not None else torch.arange(1, V + 1)
    scores = one.hidden @ one.table[ids].T + (0.0 if one.candidates.bias is None else one.candidates.bias)
    masked = scores.detach().clone()
    mask_(masked, one.candidates, one.targets, one.sessions)
    for row in range(T):
        kept = scores[row][masked[row] > -torch.inf]
        if top:
            kept = kept.topk(min(top, len(kept))).values
        own = extra.own[row][extra.own[row] != 0]  # type: ignore[index]
        negatives = torch.cat([kept, one.table[own] @ one.hidden[row] + extra.bias])
        loss = one.slow(one.hidden[row] @ one.table[one.targets[row]], negatives)
        losses.append(loss if extra.weights is None else loss * extra.weights[row])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_own_negatives_beside_all_drawn_ones_equal_autograd(
    name: str, weights: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products_module, "CHUNK_LEAST", 4)  # several chunks
    monkeypatch.setattr(products_module, "CHUNK_SCORES", 1)
    one = example(NegativesConfig(popular=9), LOSSES[name])
    bias = 0.7 if name == "softmax" else 0.0
    extra = extra_for(one, bias=bias, weights=weights)
    found = candidate_loss(*one[:6], products=Products(), extra=extra)
    assert_same_with_gradients(found, slow(one, extra, 0), one)


@pytest.mark.parametrize("weights", [False, True])
def test_own_negatives_join_after_the_best_are_chosen(weights: bool) -> None:
    one = example(NegativesConfig(popular=20), LossConfig())
    extra = extra_for(one, bias=-0.4, weights=weights)
    found = candidate_loss(*one[:6], top=5, products=Products(), extra=extra)
    assert_same_with_gradients(found, slow(one, extra, 5), one)


def test_an_own_negative_counts_however_low_its_score() -> None:
    one = example(NegativesConfig(popular=20), LossConfig())
    with torch.no_grad():
        one.table[V] = -10.0 * one.hidden.mean(dim=0)
    extra = Extra(torch.full((T, 1), V) * (one.targets != V).long().unsqueeze(1))
    with_own = candidate_loss(*one[:6], top=2, products=Products(), extra=extra)
    assert_same_with_gradients(with_own, slow(one, extra, 2), one)


def test_weights_alone_scale_each_position() -> None:
    one = example(NegativesConfig(everything=True), LossConfig())
    weights = torch.linspace(0.0, 2.0, T)
    found = candidate_loss(*one[:6], products=Products(), extra=Extra(weights=weights))
    empty = Extra(torch.zeros(T, 1, dtype=torch.int64), 0.0, weights)
    assert_same_with_gradients(found, slow(one, empty, 0), one)


@pytest.mark.parametrize("share", [None, 0.5])
@pytest.mark.parametrize("weights", [False, True])
def test_own_negatives_of_a_loss_by_position_equal_autograd(share: float | None, weights: bool) -> None:
    one = example(NegativesConfig(popular=9), LOSSES["bce"])
    drawn = torch.randint(1, V + 1, (T, 1), generator=torch.Generator().manual_seed(3))
    extra = extra_for(one, weights=weights)
    found = own_negatives_loss(one.hidden, one.table, one.targets, drawn, one.row_loss, extra, share=share)
    losses = []
    for row in range(T):
        h, table = one.hidden[row], one.table
        kept = [table[i] @ h for i in drawn[row].tolist() if i != int(one.targets[row])]
        own = [table[i] @ h for i in extra.own[row].tolist() if i]  # type: ignore[index]
        beside = torch.zeros(())
        if share is None:
            kept += own
        elif own:
            beside = share * functional.softplus(torch.stack(own)).mean()
        loss = one.slow(table[int(one.targets[row])] @ h, torch.stack(kept) if kept else torch.empty(0)) + beside
        losses.append(loss if extra.weights is None else loss * extra.weights[row])
    assert_same_with_gradients(found, torch.stack(losses).mean(), one)
