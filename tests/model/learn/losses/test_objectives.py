"""The hand-written derivatives against autograd on each objective as published."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.learn.config import LossConfig
from model.learn.losses.objectives import gbce_power, row_loss
from tests.model.slow import LOSSES, masked_columns, slow_objective

CATALOGUE = 30


def by_autograd(config: LossConfig, positive: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss (t,) and its derivatives by positive (t,) and scores (t, C)."""
    objective = slow_objective(config, negatives=scores.shape[1], catalogue=CATALOGUE)
    positive, scores = positive.clone().requires_grad_(), scores.clone().requires_grad_()
    rows = zip(positive, scores, strict=True)
    loss = torch.stack([objective(own, row[row > -math.inf]) for own, row in rows])
    grads = torch.autograd.grad(loss.sum(), (positive, scores), allow_unused=True)
    to_positive, to_scores = (torch.zeros(1) if grad is None else grad for grad in grads)
    return loss.detach(), to_positive, to_scores


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 12), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 999))
@pytest.mark.parametrize("name", LOSSES)
def test_objective_any_shape_equals_autograd(name: str, rows: int, columns: int, share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    positive = torch.randn(rows, generator=generator) * 2
    scores = torch.randn(rows, columns, generator=generator) * 2
    scores[masked_columns((rows, columns), seed, share)] = -math.inf
    loss, to_positive, to_scores = by_autograd(LOSSES[name], positive, scores)
    found, found_to_positive = row_loss(LOSSES[name], negatives=columns, catalogue=CATALOGUE)(positive, scores)
    torch.testing.assert_close(found, loss, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found_to_positive, to_positive.expand(rows), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(scores, to_scores.expand(rows, columns), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_objective_row_without_negatives_is_finite_and_moves_none_of_them(name: str) -> None:
    positive, scores = torch.tensor([0.5, -3.0]), torch.full((2, 4), -math.inf)
    loss, to_positive = row_loss(LOSSES[name], negatives=4, catalogue=CATALOGUE)(positive, scores)
    assert loss.isfinite().all()
    assert to_positive.isfinite().all()
    assert (scores == 0.0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_objective_extreme_scores_stay_finite(name: str) -> None:
    positive = torch.tensor([60.0, -60.0, 0.0, 60.0])
    scores = torch.tensor([[60.0, -60.0], [80.0, 60.0], [60.0, -math.inf], [60.0, 60.0]])
    loss, to_positive = row_loss(LOSSES[name], negatives=2, catalogue=CATALOGUE)(positive, scores)
    assert loss.isfinite().all()
    assert to_positive.isfinite().all()
    assert scores.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_objective_higher_positive_is_never_worse(name: str) -> None:
    positive, scores = torch.linspace(-4, 4, 50), torch.randn(1, 7).expand(50, 7).clone()
    loss, to_positive = row_loss(LOSSES[name], negatives=7, catalogue=CATALOGUE)(positive, scores)
    assert (loss.diff() <= 1e-6).all()
    assert (to_positive <= 0).all()


@pytest.mark.parametrize(
    ("negatives", "catalogue", "calibration", "power"),
    [
        (1, 101, 0.0, 1.0),  # t = 0: plain BCE
        (1, 101, 1.0, 0.01),  # t = 1: the sampling rate, fully calibrated
        (256, 1_025, 0.75, 0.25 * (0.75 * (1 - 4) + 4)),
        (500, 101, 0.75, 1.0),  # as many negatives as there are
    ],
)
def test_gbce_power_is_the_papers_beta(negatives: int, catalogue: int, calibration: float, power: float) -> None:
    assert gbce_power(negatives, catalogue, calibration) == pytest.approx(power)


def test_gbce_fully_calibrated_score_is_the_probability_of_the_positive() -> None:
    """gSASRec, section 5: with t = 1 the best sigmoid(s) is how often the item is the positive one."""
    probability, drawn, catalogue = 0.3, 25, 101
    rate = drawn / (catalogue - 1)
    score = torch.tensor(probability).logit().view(1)
    loss = row_loss(LossConfig(objective="gbce", calibration=1.0), negatives=drawn, catalogue=catalogue)
    as_positive = loss(score, torch.zeros(1, drawn))[1]
    negatives = torch.zeros(1, drawn)
    negatives[0, 0] = score
    loss(torch.zeros(1), negatives)
    assert float(probability * as_positive + (1 - probability) * rate * negatives[0, 0]) == pytest.approx(0.0, abs=1e-7)
