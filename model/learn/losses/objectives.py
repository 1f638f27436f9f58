"""What a position's scores are worth: the loss of a positive item against its negatives, with the gradient by hand.

Legend: t positions, C negatives.
Each objective takes the score of the positive (t,) and the scores of the negatives (t, C), -inf where a negative does
not count, and returns the loss (t,) and its derivative by the positive's score (t,). The derivatives by the negatives'
scores are left in place of those scores: the largest array of a training step is read and written where it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from model.learn.config import LossConfig

__all__ = ["RowLoss", "bce_", "bpr_max_", "gbce_", "gbce_power", "hard_softmax_", "row_loss", "softmax_"]

RowLoss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def softmax_(positive: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return -log(e^{s+} / (e^{s+} + sum_j e^{s_j})): cross-entropy, full (all items) or sampled (SSM).

    Source: Wilm et al., RecSys 2023, section 3 (SSM).
    """
    top = torch.maximum(scores.amax(dim=1), positive)
    scores.sub_(top.unsqueeze(1)).exp_()
    positive = positive - top
    own = positive.exp()
    total = scores.sum(dim=1).add_(own)
    scores.mul_(total.reciprocal().unsqueeze(1))
    return total.log().sub_(positive), own.div_(total).sub_(1.0)


def hard_softmax_(positive: Tensor, scores: Tensor, *, beta: float) -> tuple[Tensor, Tensor]:
    """Return -log(e^{s+} / (e^{s+} + n sum_j q_j e^{s_j})), q the softmax of beta s: harder negatives count more.

    n is the number of negatives that count; beta 0 is `softmax_`. Source: Xie et al., RecSys 2023 (REMI), section 3.2,
    and Tokkiu/REMI, src/BasicModel.py, where the gradient goes through q as it does here.
    """
    absent = scores == -torch.inf  # (t, C)
    top = torch.maximum(scores.amax(dim=1), positive)
    count = (~absent).sum(dim=1)  # (t,)
    weights = torch.softmax(beta * scores, dim=1).masked_fill_(absent, 0.0)  # (t, C); nan where all are absent
    own = (positive - top).exp()
    scores.sub_(top.unsqueeze(1)).exp_()
    others = count * (weights * scores).sum(dim=1)  # (t,)
    total = own + others
    scores.mul_((1.0 + beta) * count.unsqueeze(1)).sub_(beta * others.unsqueeze(1)).mul_(weights)
    scores.div_(total.unsqueeze(1))
    return total.log() - (positive - top), own / total - 1.0


def bce_(positive: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return -log sigmoid(s+) - mean_j log(1 - sigmoid(s_j)).

    Source: Kang & McAuley, ICDM 2018 (SASRec), one negative.
    """
    counted = (scores > -torch.inf).sum(dim=1).clamp_(min=1).unsqueeze(1)  # (t, 1)
    loss = functional.softplus(-positive) + (functional.softplus(scores) / counted).sum(dim=1)
    scores.sigmoid_().div_(counted)
    return loss, torch.sigmoid(positive).sub_(1.0)


def gbce_(positive: Tensor, scores: Tensor, *, power: float) -> tuple[Tensor, Tensor]:
    """Return -(power * log sigmoid(s+) + sum_j log(1 - sigmoid(s_j))) / (negatives + 1), see `gbce_power`.

    Source: Petrov & Macdonald, "gSASRec", RecSys 2023, section 5. Negatives are summed as they are drawn: with their
    mean in place of the sum the scores would not be calibrated.
    """
    share = (scores > -torch.inf).sum(dim=1).add_(1).reciprocal()  # (t,)
    loss = functional.softplus(-positive).mul_(power).add_(functional.softplus(scores).sum(dim=1)).mul_(share)
    scores.sigmoid_().mul_(share.unsqueeze(1))
    return loss, torch.sigmoid(positive).sub_(1.0).mul_(share * power)


def gbce_power(negatives: int, catalogue: int, calibration: float) -> float:
    """Return gBCE's beta = a (t (1 - 1/a) + 1/a), a = negatives / (catalogue - 1) the sampling rate, t calibration.

    Source: Petrov & Macdonald, "gSASRec", RecSys 2023, section 5.
    """
    rate = min(1.0, negatives / max(1, catalogue - 1))
    return rate * (calibration * (1.0 - 1.0 / rate) + 1.0 / rate)


def bpr_max_(positive: Tensor, scores: Tensor, *, penalty: float = 0.0, elu: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return -log sum_j w_j sigmoid(s+ - s_j) + penalty * sum_j w_j s_j^2, w the softmax of the negatives' scores.

    With `elu` every score passes ELU(alpha=elu) first. Source: Hidasi & Karatzoglou, "Recurrent Neural Networks with
    Top-k Gains", CIKM 2018, section 3.2.
    """
    absent = scores == -torch.inf  # (t, C)
    slopes = None
    if elu:
        slopes = _elu_slope(positive, elu), _elu_slope(scores, elu)
        positive, scores_ = functional.elu(positive, alpha=elu), functional.elu(scores, alpha=elu)
        scores.copy_(scores_.masked_fill_(absent, -torch.inf))
    weights = torch.softmax(scores, dim=1).masked_fill_(absent.all(dim=1, keepdim=True), 0.0)  # (t, C)
    scores.masked_fill_(absent, 0.0)
    wins = torch.sigmoid(positive.unsqueeze(1) - scores)  # (t, C)
    won = (weights * wins).sum(dim=1, keepdim=True).clamp_(min=1e-12)  # (t, 1)
    size = (weights * scores.square()).sum(dim=1, keepdim=True)  # (t, 1)
    loss = (penalty * size - won.log()).squeeze(1)
    slip = weights * wins * (1.0 - wins) / won  # (t, C)
    to_positive = -slip.sum(dim=1)
    pull = weights * (scores.square() - size + 2.0 * scores) * penalty
    scores.copy_(slip - weights * (wins - won) / won + pull)
    none = absent.all(dim=1)
    loss, to_positive = loss.masked_fill(none, 0.0), to_positive.masked_fill(none, 0.0)
    if slopes is not None:
        to_positive = to_positive * slopes[0]
        scores.mul_(slopes[1])
    return loss, to_positive


def _elu_slope(x: Tensor, alpha: float) -> Tensor:
    return torch.where(x > 0, torch.ones_like(x), alpha * x.exp())


def row_loss(config: LossConfig, *, negatives: int, catalogue: int) -> RowLoss:
    """Return the objective of `config`, for so many negatives of a catalogue of so many items."""
    if config.objective == "bce":
        return bce_
    if config.objective == "gbce":
        return partial(gbce_, power=gbce_power(negatives, catalogue, config.calibration))
    if config.objective == "bpr-max":
        return partial(bpr_max_, penalty=config.penalty, elu=config.elu)
    return partial(hard_softmax_, beta=config.hard) if config.hard else softmax_
