"""The loss of a session that is several vectors, and what keeps these apart.

Legend: T positions, t those of a chunk, K interests, C candidate columns, V catalogue ids, H hidden width.

`best` trains as it serves: an item's score is its best interest's, s_j = max_k v_k e_j, for the item that is looked for
and for those it is compared with, in one softmax. Its gradient goes through the interest that was best, item by item:

    scores (t, K, C) -> max over K (t, C) -> g = dL/dscores -> put where the maximum came from (t, K, C) -> two products

`target` is ComiRec's: the interest that is best for the item that is looked for scores the others as well.
Sources: Cen et al., KDD 2020 (ComiRec); Xie et al., "Rethinking Multi-Interest Learning for Candidate Matching in
Recommender Systems", RecSys 2023 (REMI), and Tokkiu/REMI, src/REMI.py, for `routing`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model.config import Preset
from model.learn.batches.negatives import Candidates, mask_
from model.learn.losses.loss import candidate_loss
from model.learn.losses.matmul import Products, chunk_rows
from model.learn.losses.objectives import RowLoss
from model.nets.interests import Pooled

__all__ = ["best_of", "interest_loss", "repel", "routing"]

PUBLISHED_BATCH = 128  # REMI's: it adds its penalty up over a batch, of one position a session, where others are means


def interest_loss(
    pooled: Pooled,
    table: Tensor,
    targets: Tensor,
    sessions: Tensor,
    candidates: Candidates,
    row_loss: RowLoss,
    *,
    preset: Preset,
    products: Products,
) -> Tensor:
    """Return the mean loss of `pooled`, T positions, against table (V + 1, H); targets and sessions are int64 (T,)."""
    vectors, config, top = pooled.vectors.float(), preset.loss, preset.negatives.top
    if config.choice == "best":
        args = (vectors, table, targets, sessions, candidates, row_loss, products)
        loss = torch.as_tensor(_BestLoss.apply(*args))  # type: ignore[no-untyped-call]
    else:
        _, chosen = best_of(vectors.detach(), table.detach()[targets])
        hidden = vectors[torch.arange(len(chosen), device=chosen.device), chosen]  # (T, H)
        loss = candidate_loss(hidden, table, targets, sessions, candidates, row_loss, top=top, products=products)
    if config.repel:
        loss = loss + config.repel * repel(vectors)
    if config.routing:
        loss = loss + config.routing * routing(
            pooled.focus.float(), window=preset.encoder.window, hidden=vectors.shape[2]
        )
    return loss


def best_of(vectors: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Return the score (T,) of items (T, H) by the best interest of vectors (T, K, H), and which that is, (T,)."""
    scores = (vectors * items.unsqueeze(1)).sum(dim=2)  # (T, K)
    best = scores.max(dim=1)
    return best.values, best.indices


def repel(vectors: Tensor) -> Tensor:
    """Return the mean over pairs k != l of relu(cos(v_k, v_l))^2, of vectors (T, K, H); 0 for one interest."""
    count = vectors.shape[1]
    if count < 2:
        return vectors.new_zeros(())
    unit = functional.normalize(vectors, dim=2)
    alike = (unit @ unit.transpose(1, 2)).relu().square()  # (T, K, K)
    own = torch.eye(count, dtype=torch.bool, device=vectors.device)
    return alike.masked_fill(own, 0.0).sum() / (vectors.shape[0] * count * (count - 1))


def routing(focus: Tensor, *, window: int, hidden: int) -> Tensor:
    """Return REMI's penalty on weights that look at one click alone, by the sums of their squares `focus` (T, K).

    It is the squared length of the diagonal of C C^T / H, C the weights less their mean over a window of L places:
    a variance of each interest's weights, sum of squares - 1 / L.
    """
    variance = (focus - 1.0 / window) / hidden  # (T, K)
    return variance.square().sum(dim=1).mean() * PUBLISHED_BATCH


class _BestLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        table: Tensor,
        targets: Tensor,
        sessions: Tensor,
        candidates: Candidates,
        row_loss: RowLoss,
        products: Products,
    ) -> Tensor:
        count, interests, hidden = vectors.shape
        rows = products.rows(table, candidates.ids)  # (C, H)
        to_rows = torch.zeros(rows.shape, dtype=table.dtype, device=table.device)
        own = table[targets]  # (T, H)
        positive, chosen = best_of(vectors, own)  # (T,) each
        losses, to_positive = torch.empty_like(positive), torch.empty_like(positive)
        to_vectors = torch.empty_like(vectors)
        for start in range(0, count, step := max(1, chunk_rows(rows.shape[0]) // interests)):
            part = slice(start, start + step)
            flat = vectors[part].reshape(-1, hidden)  # (t * K, H)
            every = products.scores(flat, rows)  # (t * K, C)
            by_interest = every.view(-1, interests, rows.shape[0])  # (t, K, C)
            scores, which = by_interest.max(dim=1)  # (t, C) each
            if candidates.bias is not None:
                scores += candidates.bias
            mask_(scores, candidates, targets[part], sessions[part])
            losses[part], to_positive[part] = row_loss(positive[part], scores)
            by_interest.zero_().scatter_(1, which.unsqueeze(1), scores.unsqueeze(1))
            to_vectors[part] = products.pull_back(every, flat, rows, to_rows).view(-1, interests, hidden)
        places = torch.arange(count, device=vectors.device)
        to_vectors[places, chosen] += to_positive.unsqueeze(1) * own
        to_table = torch.zeros_like(table)
        if candidates.ids is None:
            to_table[1:] = to_rows
        else:
            to_table.index_add_(0, candidates.ids, to_rows)
        to_table.index_add_(0, targets, to_positive.unsqueeze(1) * vectors[places, chosen])
        ctx.save_for_backward(to_vectors.div_(count), to_table.div_(count))
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        to_vectors, to_table = ctx.saved_tensors
        return to_vectors * grads[0], to_table * grads[0], None, None, None, None, None
