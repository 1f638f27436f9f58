"""What a step sees of the item table: the rows that it touches, or all of it.

A dense table is seen whole, unless its rows are moved one by one, or made by a tower. A coded one never is: rows are
gathered from its books for the items touched, and where all are compared with, the loss does so by partial scores
(model/learn/losses/columns.py). Legend: U items touched, V catalogue ids, H hidden width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from export.bundle.vocabulary import PAD
from model.learn.batches.batch import Batch, is_everything, touched_rows
from model.learn.batches.negatives import Candidates
from model.nets.coded import Coded, CodedItems
from model.nets.encoder import Encoder
from model.nets.tower import vectors_of_step

__all__ = ["Seen", "seen_by", "signs_of"]


class Seen(NamedTuple):
    """One step's batch, its candidates, and the table that their ids are rows of."""

    batch: Batch
    candidates: Candidates | Tensor
    table: Tensor | Coded  # (U, H), or the encoder's own, of (V + 1) rows
    inputs: Tensor | None  # where the encoder looks items up; None: in its own table
    rows: Tensor | None = None  # (U, H) that `lazy` is to move, where it does
    ids: Tensor | None = None  # (U,) what they are rows of, 0 the first


def seen_by(encoder: Encoder, batch: Batch, candidates: Candidates | Tensor, *, lazy: bool, seed: int) -> Seen:
    """Return what a step sees. `seed`: of the ids that a tower leaves out."""
    whole = is_everything(candidates)
    if isinstance(encoder.items, CodedItems):
        if whole:
            return Seen(batch, candidates, encoder.items.coded, None)
        ids, batch, candidates = touched_rows(batch, candidates)
        rows = encoder.items(ids)
        return Seen(batch, candidates, rows, rows)
    weight = encoder.items.weight
    if lazy or (encoder.tower is not None and not whole):
        ids, batch, candidates = touched_rows(batch, candidates)
        rows = weight.detach()[ids].requires_grad_() if lazy else functional.embedding(ids, weight, PAD)
        table = vectors_of_step(encoder.tower, rows, ids, seed)
        return Seen(batch, candidates, table, table, rows if lazy else None, ids if lazy else None)
    table = vectors_of_step(encoder.tower, weight, None, seed)
    return Seen(batch, candidates, table, None if table is weight else table)


def signs_of(encoder: Encoder) -> tuple[float, int]:
    """Return numbers that two encoders of other items, weights or codes hardly share."""
    codes = encoder.items.digest() if isinstance(encoder.items, CodedItems) else 0
    return float(encoder.weight.detach().double().sum()), codes
