"""A packed batch as tensors, where the encoder runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.learn.negatives import Candidates
from model.learn.packing import PackedBatch

__all__ = ["Batch", "is_everything", "to_tensors", "touched_rows"]


class Batch(NamedTuple):
    """R rows of P positions; T of them are real and are read out, in session order, then in click order."""

    ids: Tensor  # (R, P) int64 catalogue ids, 0 where empty
    positions: Tensor  # (R, P) int64, click number inside the session or window
    owner: Tensor  # (R, P) int64 number of the session inside the batch, -1 where empty
    cells: Tensor  # (T,) int64, row * P + column of each position that is read out
    targets: Tensor  # (T,) int64 catalogue ids
    sessions: Tensor  # (T,) int64 number of the session inside the batch
    lengths: Tensor  # (S,) int64 positions of each session, on the CPU


def to_tensors(packed: PackedBatch, device: torch.device | str = "cpu") -> Batch:
    """Return the batch on `device`; on the CPU the memory is shared."""
    parts = {name: torch.from_numpy(part).to(device, non_blocking=True) for name, part in packed._asdict().items()}
    return Batch(**parts, lengths=torch.from_numpy(np.bincount(packed.sessions)))


def is_everything(candidates: Candidates | Tensor) -> bool:
    """Return whether all items are candidates, so that no row is left alone."""
    return not isinstance(candidates, Tensor) and candidates.ids is None


def touched_rows(batch: Batch, candidates: Candidates | Tensor) -> tuple[Tensor, Batch, Candidates | Tensor]:
    """Return the ids (U,) that occur, rising and 0 among them, and both arguments with places in it for ids."""
    drawn = candidates if isinstance(candidates, Tensor) else candidates.ids
    assert drawn is not None, "where every item is a candidate no row is left alone"
    zero = torch.zeros(1, dtype=torch.int64, device=batch.ids.device)
    ids = torch.unique(torch.cat([zero, batch.ids.flatten(), batch.targets, drawn.flatten()]))
    drawn = torch.searchsorted(ids, drawn)
    batch = batch._replace(ids=torch.searchsorted(ids, batch.ids), targets=torch.searchsorted(ids, batch.targets))
    return ids, batch, drawn if isinstance(candidates, Tensor) else candidates._replace(ids=drawn)
