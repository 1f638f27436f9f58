"""Validation of a model in training: the rank of each next click among the whole catalogue, by prefix.

Legend: S sessions, T predictions, H hidden width, V catalogue ids 1..V.
Every position after the first of a session's newest 51 clicks is one prediction from all clicks before it, cut to the
encoder's window; nothing is excluded (model/evaluate.py has the same protocol). Where positions count from the start,
the causal encoder gives the same vector for click t whether or not later clicks follow, so one pass over a session that
fits the window answers all its prefixes; otherwise each prefix is encoded by itself.
Ranks count equal scores against the model: rank = number of items scored at least as high as the target.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from model.encoder import Encoder
from model.loss import Scratch
from model.packing import Ints, PackedBatch, Sessions, pack, pack_spans, position_shift, ranges

CLICKS = 51  # newest clicks of a session that are looked at
CUTOFF = 20  # k of recall, mrr and ndcg
SESSIONS = 256  # sessions encoded at once
SCORES = 1 << 22  # scores held at once, 16 MiB


def validate(encoder: Encoder, log: Sessions, *, row: int = 64) -> dict[str, float]:
    """Return recall@20, mrr@20, ndcg@20 and the number of predictions; {} figures of 0 where there is none."""
    encoder.eval()
    ranks = next_click_ranks(encoder, log, row=row)
    return metrics(ranks, CUTOFF)


def metrics(ranks: Ints, cutoff: int) -> dict[str, float]:
    """Return means over ranks (T,), best 1: recall = share <= k, mrr = 1 / rank, ndcg = 1 / log2(rank + 1), else 0."""
    hit = ranks <= cutoff
    count = max(len(ranks), 1)
    return {
        f"recall@{cutoff}": float(hit.sum() / count),
        f"mrr@{cutoff}": float((1.0 / ranks[hit]).sum() / count),
        f"ndcg@{cutoff}": float((1.0 / np.log2(ranks[hit] + 1.0)).sum() / count),
        "predictions": float(len(ranks)),
    }


@torch.inference_mode()
def next_click_ranks(encoder: Encoder, log: Sessions, *, row: int) -> Ints:
    """Return the rank (T,) of each prediction's target, session after session; the encoder must be in eval mode."""
    scratch, parts = Scratch(), [np.empty(0, np.int64)]
    catalogue = encoder.items.weight[1:]  # (V, H)
    rows = max(1, SCORES // catalogue.shape[0])
    for batch, chosen in _batches(encoder, log, row):
        hidden = encoder(*(torch.from_numpy(part) for part in batch[:3])).flatten(0, 1)  # (R * P, H)
        hidden = hidden[torch.from_numpy(batch.cells[chosen])]  # (T, H)
        targets = torch.from_numpy(batch.targets[chosen]) - 1
        for part, target in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True):
            scores = scratch.take("scores", part.shape[0], catalogue.shape[0])
            parts.append(_ranks(torch.mm(part, catalogue.T, out=scores), target).numpy())
    return np.concatenate(parts)


def _ranks(scores: Tensor, targets: Tensor) -> Tensor:
    own = scores.gather(1, targets.unsqueeze(1))  # (T, 1)
    return (scores >= own).sum(dim=1)


def _batches(encoder: Encoder, log: Sessions, row: int) -> Iterator[tuple[PackedBatch, Ints]]:
    """Yield packed batches and which of their T entries are predictions."""
    window, from_end = encoder.config.window, encoder.config.positions == "end"
    sessions = len(log.offsets) - 1
    longest = np.minimum(np.diff(log.offsets), CLICKS) - 1  # (S,) clicks of the longest prefix
    for start in range(0, sessions, SESSIONS):
        chosen = np.arange(start, min(start + SESSIONS, sessions))
        if from_end or longest[chosen].max() > window:
            yield _prefixes(log, chosen, window=window, row=row, from_end=from_end)
        else:
            batch = pack(log, chosen, window=window, row=row, from_end=False)
            yield batch, np.arange(len(batch.cells))


def _prefixes(
    log: Sessions, chosen: Ints, *, window: int, row: int, from_end: bool
) -> tuple[PackedBatch, Ints]:
    end = log.offsets[chosen + 1]
    first = np.maximum(log.offsets[chosen], end - CLICKS)
    newest, _, within = ranges(first, end - first - 1)  # the newest click of every prefix of every session
    lengths = np.minimum(within + 1, window)
    shift = position_shift(lengths, window=window, from_end=from_end)
    return pack_spans(log.items, newest - lengths + 1, lengths, row=row, shift=shift), np.cumsum(lengths) - 1
