"""The best scored candidates of each position: one product without gradient, then an exact top-K.

Legend: T positions, t those of a chunk, C candidate columns, K kept columns, G groups, H hidden width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from export.bundle.vocabulary import PAD
from model.learn.batches.negatives import Candidates, mask_
from model.learn.losses.columns import CodedColumns, Columns, DenseColumns
from model.learn.losses.matmul import Products
from model.nets.coded import Coded

__all__ = ["grouped_top", "kept_weights", "select_top"]


def select_top(
    hidden: Tensor,
    table: Tensor | Coded,
    targets: Tensor,
    sessions: Tensor,
    candidates: Candidates,
    top: int,
    products: Products,
) -> tuple[Tensor, Tensor]:
    """Return scores and catalogue ids, (T, K) each, of the K best draws of each position, best first.

    A column that stands for c draws fills c of the `top` places, and the logarithm of how many of them fit is added to
    its score. Scores of masked columns are -inf.
    """
    ids = candidates.ids
    if ids is None:
        ids = torch.arange(PAD + 1, table.items + 1 if isinstance(table, Coded) else len(table), device=hidden.device)
    count = ids.shape[0]
    keep = min(top, count)
    members = max(1, round(math.sqrt(count / keep)))
    groups = -(-count // members)
    columns = members * groups  # C, rounded up
    padded = functional.pad(ids, (0, columns - count))
    scored: Columns
    if isinstance(table, Coded):
        assert candidates.ids is None, "candidates that are drawn are rows of a dense table"
        scored = CodedColumns(table, products, width=columns)
    else:
        scored = DenseColumns(table, padded, products)
    bias = None if candidates.bias is None else functional.pad(candidates.bias, (0, columns - count))
    weights = bias.exp() if bias is not None and candidates.counted else None  # draws of each column
    parts = []
    for start in range(0, hidden.shape[0], step := scored.chunk()):
        part = slice(start, start + step)
        scores = scored.scores(hidden[part])  # (t, C)
        scores[:, count:] = -math.inf
        mask_(scores, candidates, targets[part], sessions[part])
        if bias is not None and weights is None:
            scores += bias
        values, chosen = grouped_top(scores, keep, groups)
        if weights is not None:
            values.add_(kept_weights(weights[chosen], top).log_())
        parts.append((values, padded[chosen]))
    return torch.cat([values for values, _ in parts]), torch.cat([chosen for _, chosen in parts])


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
    inside = best.unsqueeze(1) + torch.arange(0, columns, groups, device=scores.device).view(1, members, 1)
    inside = inside.view(rows, members * count)  # (T, members * K)
    values, place = _top(scores.gather(1, inside), count)
    return values, inside.gather(1, place)


def _top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    values, columns = scores.topk(count, dim=1)
    return values, columns


def kept_weights(counts: Tensor, keep: int) -> Tensor:
    """Return how many draws of each column (T, K), best first, are among the `keep` best draws."""
    before = counts.cumsum(dim=1) - counts
    return torch.minimum((keep - before).clamp_(min=0), counts)
