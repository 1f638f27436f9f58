"""The loss of one step: what the encoder says of a batch, against the candidates that were drawn for it."""

from __future__ import annotations

from torch import Tensor

from model.config import Preset
from model.learn.batches.feedback import extra_of
from model.learn.losses.interest_loss import interest_loss
from model.learn.losses.loss import candidate_loss, own_negatives_loss
from model.learn.losses.matmul import Products
from model.learn.losses.objectives import RowLoss
from model.learn.rows import Seen
from model.learn.seeds import DROPOUT, seed_of
from model.nets.encoder import Encoder

__all__ = ["batch_loss"]


def batch_loss(
    encoder: Encoder, seen: Seen, preset: Preset, products: Products, row_loss: RowLoss, *, step: int, rank: int = 0
) -> Tensor:
    """Return the mean loss () of what step number `step` sees, with its own dropout; rank: of this process."""
    batch, candidates, table = seen.batch, seen.candidates, seen.table
    encoder.train()
    for number, dropout in enumerate((encoder.dropout, encoder.input_dropout)):
        dropout.begin_step(seed_of(preset.train.seed, DROPOUT, step, *([rank, number] if rank or number else [])))
    with products.autocast():
        hidden = encoder(batch, seen.inputs).float()  # (T, H)
        pooled = None if encoder.interests is None else encoder.interests.causal(hidden, batch)
    if batch.read is not None:
        hidden = hidden.index_select(0, batch.read)  # (Q, H)
    (targets, sessions), (extra, share) = batch.asked(), extra_of(batch, preset)
    if isinstance(candidates, Tensor):
        assert isinstance(table, Tensor), "what each position draws for itself is gathered"
        return own_negatives_loss(hidden, table, targets, candidates, row_loss, extra, share=share)
    if pooled is not None:  # a preset with interests knows no feedback: every position asks
        assert isinstance(table, Tensor), "a preset with interests has no codes"
        args = (table, targets, sessions, candidates, row_loss)
        return interest_loss(pooled, *args, preset=preset, products=products)
    top = preset.negatives.top
    return candidate_loss(
        hidden, table, targets, sessions, candidates, row_loss, top=top, products=products, extra=extra
    )
