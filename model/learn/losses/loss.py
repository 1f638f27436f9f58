"""The loss of a batch and its gradient, without ever keeping the logits of the whole batch.

Legend: T positions, t those of a chunk, C candidate columns, K kept columns, V catalogue ids, H hidden width.
Autograd would keep (T, C) logits and send a dense gradient through them. Here the derivative of the loss by each score
is known as soon as the score is (`objectives.py`), so both happen together, a chunk of positions at a time that
stays in the processor's cache:

    scores = h E^T,   g = dL/dscores in their place,   dL/dh = g E,   dL/dE += g^T h

With `top` only the K best columns of a position have a gradient. One product scores all, an exact top-K selects, and
    dL/dh = sum_j g_j E[j],   dL/dE[j] = sum_t g_tj h_t
are weighted sums of rows, which `embedding_bag` computes without materialising (T, K, H).
A position's own negatives (`extra.py`) are further columns, of its own, which join after that selection.
Source of the loss with `top`: Wilm et al., RecSys 2023, section 3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from export.bundle.vocabulary import PAD
from model.learn.batches.negatives import Candidates, mask_
from model.learn.losses.columns import columns_of
from model.learn.losses.extra import NOTHING, Extra, pull_rows, scores_of_rows
from model.learn.losses.matmul import Products
from model.learn.losses.objectives import RowLoss
from model.learn.losses.select import select_top
from model.nets.coded import Coded

__all__ = ["candidate_loss", "own_negatives_loss"]


def candidate_loss(
    hidden: Tensor,
    table: Tensor | Coded,
    targets: Tensor,
    sessions: Tensor,
    candidates: Candidates,
    row_loss: RowLoss,
    *,
    top: int = 0,
    products: Products,
    extra: Extra = NOTHING,
) -> Tensor:
    """Return the mean loss of hidden (T, H) against table (V + 1, H); targets and sessions are int64 (T,).

    `top` above 0: only the best scored `top` draws of each position count, and all of its own negatives. A coded table
    is compared with as a whole.
    """
    codes, weight = (table.codes, table.books) if isinstance(table, Coded) else (None, table)
    if not top:
        chunked: Any = _ChunkedLoss  # autograd's classes are not typed
        args = (hidden, weight, codes, targets, sessions, candidates, row_loss, products, extra)
        return torch.as_tensor(chunked.apply(*args))
    with torch.no_grad():
        scores, ids = select_top(hidden, table, targets, sessions, candidates, top, products)  # (T, K)
    if isinstance(table, Coded):  # rows of the items that count, by autograd from the books
        own = ids[:, :0] if extra.own is None else extra.own
        padding = torch.zeros_like(targets)  # stays 0 among the places
        every = torch.cat([torch.stack([padding, targets], dim=1), ids, own], dim=1)
        used, places = torch.unique(every, return_inverse=True)
        weight, targets, ids = table.rows(used), places[:, 1], places[:, 2 : 2 + ids.shape[1]]
        if extra.own is not None:
            extra = extra._replace(own=places[:, 2 + ids.shape[1] :])
    top_loss: Any = _TopLoss
    return torch.as_tensor(top_loss.apply(hidden, weight, targets, scores, ids, row_loss, extra))


def own_negatives_loss(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    negatives: Tensor,
    row_loss: RowLoss,
    extra: Extra = NOTHING,
    *,
    share: float | None = None,
) -> Tensor:
    """Return the mean loss of hidden (T, H), each against its own negatives (T, n), ids of table (V + 1, H).

    Explicit negatives of `extra` join them; with a `share` they stand beside them instead, as that times the mean of
    -log(1 - sigmoid(s)): one drawn negative among them would be drowned by a mean over all.
    """
    positive = (hidden * functional.embedding(targets, table)).sum(dim=1)  # (T,)
    scores = (hidden.unsqueeze(1) * functional.embedding(negatives, table)).sum(dim=2)  # (T, n)
    scores = scores.masked_fill(negatives == targets.unsqueeze(1), -torch.inf)
    beside: Tensor | float = 0.0
    if extra.own is not None:
        own = (hidden.unsqueeze(1) * functional.embedding(extra.own, table)).sum(dim=2) + extra.bias  # (T, n)
        there = extra.own != PAD
        if share is None:
            scores = torch.cat([scores, own.masked_fill(~there, -torch.inf)], dim=1)
        else:
            each = functional.softplus(own).masked_fill(~there, 0.0).sum(dim=1) / there.sum(dim=1).clamp(min=1)
            beside = share * (each if extra.weights is None else each * extra.weights).mean()
    drawn = _RowLoss.apply(positive, scores, row_loss, extra)  # type: ignore[no-untyped-call]
    return torch.as_tensor(drawn + beside)


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        codes: Tensor | None,
        targets: Tensor,
        sessions: Tensor,
        candidates: Candidates,
        row_loss: RowLoss,
        products: Products,
        extra: Extra,
    ) -> Tensor:
        count, columns = hidden.shape[0], columns_of(weight, codes, candidates.ids, products)
        own = columns.own(targets)  # (T, H)
        positive = (hidden * own).sum(dim=1)  # (T,)
        losses, to_positive = torch.empty_like(positive), torch.empty_like(positive)
        to_hidden = torch.empty_like(hidden)
        places, few, names = (None, weight, None) if extra.own is None else columns.few(extra.own)
        extra = extra._replace(own=places)
        to_own: list[Tensor] = []
        for start in range(0, count, step := columns.chunk()):
            part = slice(start, start + step)
            scores = columns.scores(hidden[part])  # (t, C)
            if candidates.bias is not None:
                scores += candidates.bias
            mask_(scores, candidates, targets[part], sessions[part])
            more = extra.part(part)
            if more.own is not None:
                scores = torch.cat([scores, scores_of_rows(hidden[part], few, more.own, more.bias)], dim=1)
            losses[part], to_positive[part] = row_loss(positive[part], scores)
            more.weigh_(losses[part], to_positive[part], scores)
            to_own.append(scores[:, columns.count :])
            scores = scores if more.own is None else scores[:, : columns.count].contiguous()
            to_hidden[part] = columns.pull_back(scores, hidden[part])
        to_hidden.addcmul_(to_positive.unsqueeze(1), own)
        columns.add_(targets, to_positive.unsqueeze(1) * hidden)
        if places is not None:
            more_hidden, items, more_rows = pull_rows(places, torch.cat(to_own), hidden, few)
            to_hidden.add_(more_hidden)
            columns.add_(items if names is None else names[items], more_rows)
        ctx.save_for_backward(to_hidden.div_(count), columns.gradient().div_(count))
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_weight = ctx.saved_tensors
        return to_hidden * grads[0], to_weight * grads[0], None, None, None, None, None, None, None


class _TopLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        scores: Tensor,
        ids: Tensor,
        row_loss: RowLoss,
        extra: Extra,
    ) -> Tensor:
        if extra.own is not None:  # after the selection, so that none of them is left out
            scores = torch.cat([scores, scores_of_rows(hidden, table, extra.own, extra.bias)], dim=1)
            ids = torch.cat([ids, extra.own], dim=1)
        losses, to_positive = row_loss((hidden * table[targets]).sum(dim=1), scores)
        extra.weigh_(losses, to_positive, scores)
        ids = torch.cat([targets.unsqueeze(1), ids], dim=1)  # (T, 1 + K)
        grads = torch.cat([to_positive.unsqueeze(1), scores], dim=1).div_(hidden.shape[0])
        ctx.save_for_backward(hidden, table, ids, grads)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        hidden, table, ids, grads = ctx.saved_tensors
        grads = grads * outer[0]
        to_hidden, items, rows = pull_rows(ids, grads, hidden, table)
        to_table = torch.zeros_like(table)
        to_table[items] = rows  # (items, H)
        return to_hidden, to_table, None, None, None, None, None


class _RowLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positive: Tensor, scores: Tensor, row_loss: RowLoss, extra: Extra) -> Tensor:
        grads = scores.clone()
        losses, to_positive = row_loss(positive, grads)
        extra.weigh_(losses, to_positive, grads)
        ctx.save_for_backward(to_positive / positive.shape[0], grads / positive.shape[0])
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        to_positive, to_scores = ctx.saved_tensors
        return to_positive * outer[0], to_scores * outer[0], None, None
