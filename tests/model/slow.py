"""The objectives and the loss as they are published, written the slow way for autograd to differentiate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from model.learn.batches.negatives import Candidates
from model.learn.config import LossConfig

Objective = Callable[[Tensor, Tensor], Tensor]  # positive (), negatives (C,) that count -> loss ()

LOSSES = {
    "softmax": LossConfig(),
    "hard softmax": LossConfig(hard=1.5),
    "bce": LossConfig(objective="bce"),
    "gbce": LossConfig(objective="gbce", calibration=0.6),
    "bpr-max": LossConfig(objective="bpr-max", penalty=0.7),
    "bpr-max, elu": LossConfig(objective="bpr-max", penalty=0.5, elu=0.5),
}


def slow_softmax(positive: Tensor, negatives: Tensor) -> Tensor:
    return torch.cat([positive.view(1), negatives]).logsumexp(0) - positive


def slow_hard_softmax(positive: Tensor, negatives: Tensor, *, beta: float) -> Tensor:
    """REMI, section 3.2, as its authors' code has it: importance weights over their mean."""
    if not len(negatives):
        return positive * 0.0
    importance = (beta * negatives).exp()
    others = (importance * negatives.exp()).sum() / importance.mean()
    return (positive.exp() + others).log() - positive


def slow_bce(positive: Tensor, negatives: Tensor) -> Tensor:
    others = -functional.logsigmoid(-negatives).mean() if len(negatives) else torch.zeros(())
    return others - functional.logsigmoid(positive)


def slow_gbce(positive: Tensor, negatives: Tensor, *, rate: float, calibration: float) -> Tensor:
    """gSASRec, section 5: -1 / (k + 1) (log sigmoid^beta(s+) + sum_j log(1 - sigmoid(s_j)))."""
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    terms = functional.logsigmoid(positive) * beta + functional.logsigmoid(-negatives).sum()
    return -terms / (len(negatives) + 1)


def slow_bpr_max(positive: Tensor, negatives: Tensor, *, penalty: float, elu: float) -> Tensor:
    """GRU4Rec with top-k gains, section 3.2, scores through an ELU first as its authors' code has it."""
    if not len(negatives):
        return positive * 0.0
    if elu:
        positive, negatives = functional.elu(positive, elu), functional.elu(negatives, elu)
    weights = torch.softmax(negatives, 0)
    return -(weights * torch.sigmoid(positive - negatives)).sum().log() + penalty * (weights * negatives**2).sum()


def slow_objective(config: LossConfig, *, negatives: int, catalogue: int) -> Objective:
    """Return what model.learn.losses.objectives.row_loss does, for one position and only the negatives that count."""
    rate = min(1.0, negatives / (catalogue - 1))
    objectives: dict[str, Objective] = {
        "softmax": partial(slow_hard_softmax, beta=config.hard) if config.hard else slow_softmax,
        "bce": slow_bce,
        "gbce": partial(slow_gbce, rate=rate, calibration=config.calibration),
        "bpr-max": partial(slow_bpr_max, penalty=config.penalty, elu=config.elu),
    }
    return objectives[config.objective]


def slow_loss(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    sessions: Tensor,
    candidates: Candidates,
    objective: Objective,
    top: int = 0,
) -> Tensor:
    """Every draw its own column, one position after the other."""
    ids = torch.arange(1, table.shape[0]) if candidates.ids is None else candidates.ids
    bias = torch.zeros(len(ids)) if candidates.bias is None else candidates.bias
    owners = torch.cat([torch.full((len(ids) - candidates.in_batch,), -1), candidates.owners])
    if candidates.counted:
        draws = bias.exp().round().long()
        ids, owners, bias = (part.repeat_interleave(draws) for part in (ids, owners, torch.zeros(len(ids))))
    losses = []
    for vector, target, session in zip(hidden, targets, sessions, strict=True):
        counts = (ids != target) & (owners != session)
        scores = table[ids[counts]] @ vector + bias[counts]
        best = scores.topk(min(top, len(scores))).values if top else scores
        losses.append(objective(table[target] @ vector, best))
    return torch.stack(losses).mean()


def masked_columns(shape: tuple[int, int], seed: int, share: float) -> Tensor:
    """Return which of (t, C) columns do not count; all of them in the last row."""
    masked = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share
    masked[-1] = True
    return masked
