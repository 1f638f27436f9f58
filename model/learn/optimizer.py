"""How weights move: the rule, its rate, rows that were not touched left alone, the average of weights.

Legend: V catalogue ids, H hidden width, U rows touched by a step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from model.learn.config import TrainConfig
from model.machine.compilers import leave_out_triton
from model.nets.encoder import Encoder

__all__ = ["AVERAGE_EVERY", "Average", "Optimizer", "is_lazy"]

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's, as published and as torch has them
ADAGRAD_EPSILON = 1e-6  # GRU4Rec's
AVERAGE_EVERY = 8  # steps between two updates of the average: it costs a pass over all weights
LAZY_FROM = 4  # times as many rows in the catalogue as a step touches: below, one dense update is faster


def is_lazy(config: TrainConfig, *, catalogue: int, touched: int) -> bool:
    """Return whether only the item rows a step touches are updated, `touched` of them at most."""
    return catalogue > LAZY_FROM * touched if config.lazy is None else config.lazy


class Optimizer:
    """Adam or Adagrad over an encoder's weights; with `lazy` the item table's rows are moved by `step_rows` alone.

    Lazy rows: a step costs what it touches and not what the shop sells. With Adam a row's moments decay only at the
    steps that touch it, as in torch.optim.SparseAdam; Adagrad does the same with or without.
    """

    def __init__(self, encoder: Encoder, config: TrainConfig, *, lazy: bool) -> None:
        leave_out_triton()
        self.config, self.lazy = config, lazy
        table = encoder.weight
        weights = [weight for weight in encoder.parameters() if not (lazy and weight is table)]
        self.rule: torch.optim.Optimizer
        if config.rule == "adagrad":
            self.rule = torch.optim.Adagrad(weights, lr=config.lr, eps=ADAGRAD_EPSILON)
        else:
            self.rule = torch.optim.Adam(weights, lr=config.lr, betas=BETAS, eps=EPSILON, fused=True)
        kept = (1 if config.rule == "adagrad" else 2) if lazy else 0
        self.moments = tuple(torch.zeros_like(table) for _ in range(kept))  # squares, or means and squares

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.rule.zero_grad(set_to_none=True)

    def set_rate(self, factor: float) -> float:
        """Set the learning rate to `factor` times the config's, and return it."""
        rate = self.config.lr * factor
        for group in self.rule.param_groups:
            group["lr"] = rate
        return rate

    def step(self) -> None:
        """Move all weights that have a gradient."""
        self.rule.step()

    @torch.no_grad()
    def step_rows(self, table: Tensor, ids: Tensor, grads: Tensor, *, step: int, rate: float) -> None:
        """Move the rows `ids` (U,) of table (V + 1, H) by grads (U, H); `step` counts from 0."""
        if self.config.rule == "adagrad":
            (total,) = self.moments
            total_rows = total[ids].addcmul_(grads, grads)
            total.index_copy_(0, ids, total_rows)
            table.index_add_(0, ids, grads / total_rows.sqrt_().add_(ADAGRAD_EPSILON), alpha=-rate)
            return
        mean, square = self.moments
        mean_rows = mean[ids].lerp_(grads, 1.0 - BETAS[0])
        square_rows = square[ids].mul_(BETAS[1]).addcmul_(grads, grads, value=1.0 - BETAS[1])
        mean.index_copy_(0, ids, mean_rows)
        square.index_copy_(0, ids, square_rows)
        unbias, unbias_square = 1.0 - BETAS[0] ** (step + 1), 1.0 - BETAS[1] ** (step + 1)
        spread = square_rows.div_(unbias_square).sqrt_().add_(EPSILON)
        table.index_add_(0, ids, mean_rows.div_(spread), alpha=-rate / unbias)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"rule": self.rule.state_dict(), "moments": self.moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave. KeyError or ValueError where it is another optimizer's."""
        self.rule.load_state_dict(state["rule"])
        if len(state["moments"]) != len(self.moments):
            raise ValueError("the checkpoint's optimizer updates other rows")
        for moment, saved in zip(self.moments, state["moments"], strict=True):
            moment.copy_(saved)


class Average:
    """Exponential moving average of weights: smoother than the last step's, and better validated."""

    def __init__(self, weights: Iterable[Tensor], decay: float) -> None:
        self.weights = [weight.detach() for weight in weights]
        self.decay = decay
        self.mean = [weight.clone() for weight in self.weights]
        self.updates = 0

    def update(self, step: int) -> None:
        """Take in the weights after `step`, now and then; young averages follow faster."""
        if (step + 1) % AVERAGE_EVERY:
            return
        self.updates += 1
        share = max(1.0 - self.decay**AVERAGE_EVERY, 2.0 / (self.updates + 1))
        torch._foreach_lerp_(self.mean, self.weights, min(1.0, share))

    def swap(self) -> None:
        """Exchange the weights and their average."""
        for weight, mean in zip(self.weights, self.mean, strict=True):
            kept = weight.clone()
            weight.copy_(mean)
            mean.copy_(kept)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the average in the place of the weights while the block lasts, once there is one."""
        if not self.updates:
            yield
            return
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"mean": self.mean, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for mean, saved in zip(self.mean, state["mean"], strict=True):
            mean.copy_(saved)
        self.updates = state["updates"]
