"""Sampled softmax over the best scored negatives (SSM), and its gradient by hand.

Legend: T positions, C candidate columns, K kept columns, G groups, V catalogue ids, H hidden width.

    loss = -log( e^{s+} / (e^{s+} + sum over the top-K draws j of e^{s_j}) ),   s_j = h . E[j]

Source: Wilm et al., RecSys 2023, section 3. Autograd would keep the (T, C) logits and send a dense gradient through
them, though all but K of each row's entries are zero. Here one product without gradient scores all candidates, an exact
top-K picks the columns, and the gradient goes through those K + 1 items alone:

    dL/dh = sum_j c_j E[j],   dL/dE[j] = sum_t c_tj h_t,   c = softmax - onehot(target), over T

Both are weighted sums of table rows, which `embedding_bag` computes without materialising (T, K, H).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model.negatives import Negatives, mask_


class Scratch:
    """Buffers used again at each step: a large allocation costs more in page faults than its product."""

    def __init__(self) -> None:
        self._flat: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Return a float32 tensor of `shape` with any contents; valid until the same name is taken again."""
        size = math.prod(shape)
        if name not in self._flat or self._flat[name].numel() < size:
            self._flat[name] = torch.empty(size + size // 8)
        return self._flat[name][:size].view(shape)


def grouped_top(scores: Tensor, count: int, groups: int) -> tuple[Tensor, Tensor]:
    """Return values and columns (T, count), best first, of scores (T, C) with C a multiple of `groups`; exact.

    Group g holds columns g, g + G, g + 2G, ... The best `count` columns lie in the `count` groups of highest maxima.
    """
    rows, columns = scores.shape
    if groups <= count or columns <= 4 * count:
        return _top(scores, count)
    members = columns // groups
    maxima = scores.view(rows, members, groups).amax(dim=1)  # (T, G)
    best = maxima.topk(count, dim=1, sorted=False).indices  # (T, K)
    inside = best.unsqueeze(1) + torch.arange(0, columns, groups).view(1, members, 1)  # (T, members, K)
    inside = inside.view(rows, members * count)
    values, place = _top(scores.gather(1, inside), count)
    return values, inside.gather(1, place)


def _top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    values, columns = scores.topk(count, dim=1)
    return values, columns


def kept_weights(counts: Tensor, keep: int) -> Tensor:
    """Return how many draws of each column (T, K), best first, are among the `keep` best draws."""
    before = counts.cumsum(dim=1) - counts
    return torch.minimum((keep - before).clamp_(min=0), counts)


class _SampledSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        sessions: Tensor,
        negatives: Negatives,
        top: int,
        scratch: Scratch,
    ) -> Tensor:
        values, ids, weights = select(hidden, table, targets, sessions, negatives, top, scratch)  # (T, K)
        positive = (hidden * table[targets]).sum(dim=1, keepdim=True)  # (T, 1)
        logits = torch.cat([positive, values + weights.log()], dim=1)  # (T, 1 + K)
        log_total = logits.logsumexp(dim=1, keepdim=True)
        share = (logits - log_total).exp_()
        share[:, 0] -= 1.0
        ctx.save_for_backward(hidden, table, torch.cat([targets.unsqueeze(1), ids], dim=1), share.div_(hidden.shape[0]))
        return (log_total - positive).mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, table, ids, share = ctx.saved_tensors
        share = share * grads[0]
        to_hidden = functional.embedding_bag(ids, table, mode="sum", per_sample_weights=share)  # (T, H)
        order = ids.flatten().argsort(stable=True)
        items, counts = torch.unique_consecutive(ids.flatten()[order], return_counts=True)
        starts, weights = counts.cumsum(0) - counts, share.flatten()[order]
        rows = functional.embedding_bag(
            order // ids.shape[1], hidden, starts, mode="sum", per_sample_weights=weights
        )  # (items, H)
        to_table = torch.zeros_like(table)
        to_table[items] = rows
        return to_hidden, to_table, None, None, None, None, None


def select(
    hidden: Tensor, table: Tensor, targets: Tensor, sessions: Tensor, negatives: Negatives, top: int, scratch: Scratch
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, catalogue ids and weights, (T, K) each, of the `top` best draws of each position."""
    candidates = negatives.ids.shape[0]
    keep = min(top, candidates)
    members = max(1, round(math.sqrt(candidates / keep)))
    groups = -(-candidates // members)
    columns = members * groups  # C, rounded up
    padded = functional.pad(negatives.ids, (0, columns - candidates))
    rows = torch.index_select(table, 0, padded, out=scratch.take("rows", columns, table.shape[1]))
    scores = torch.mm(hidden, rows.T, out=scratch.take("scores", hidden.shape[0], columns))
    scores[:, candidates:] = -math.inf
    mask_(scores, negatives, targets, sessions)
    values, chosen = grouped_top(scores, keep, groups)
    weights = kept_weights(functional.pad(negatives.counts, (0, columns - candidates))[chosen], top)
    return values, padded[chosen], weights


def sampled_softmax(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    sessions: Tensor,
    negatives: Negatives,
    *,
    top: int,
    scratch: Scratch,
) -> Tensor:
    """Return the mean loss of hidden (T, H) against table (V + 1, H); targets and sessions are int64 (T,)."""
    return torch.as_tensor(
        _SampledSoftmax.apply(hidden, table, targets, sessions, negatives, top, scratch)  # type: ignore[no-untyped-call]
    )
