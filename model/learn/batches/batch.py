"""A packed batch as tensors, where the encoder runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.learn.batches.negatives import Candidates
from model.learn.batches.packing import PackedBatch

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
    kinds: Tensor | None = None  # (R, P) int64 code of each event, 0 where empty; None: all clicks
    read: Tensor | None = None  # (Q,) int64, rising, which of the T are predictions; None: all
    preference: Tensor | None = None  # (S,) float32 weight of orders against clicks; None: 0.5
    own: Tensor | None = None  # (Q or T, n) int64 catalogue ids of the session's own negatives, 0 where there is none
    weights: Tensor | None = None  # (Q or T,) float32 what each prediction counts; None: 1

    def asked(self) -> tuple[Tensor, Tensor]:
        """Return targets and sessions of the predictions, (Q,) or (T,) each."""
        if self.read is None:
            return self.targets, self.sessions
        return self.targets[self.read], self.sessions[self.read]


def to_tensors(packed: PackedBatch, device: torch.device | str = "cpu") -> Batch:
    """Return the batch on `device`; on the CPU the memory is shared."""
    arrays = {name: part for name, part in packed._asdict().items() if part is not None}
    parts = {name: torch.from_numpy(part).to(device, non_blocking=True) for name, part in arrays.items()}
    return Batch(**parts, lengths=torch.from_numpy(np.bincount(packed.sessions)))


def is_everything(candidates: Candidates | Tensor) -> bool:
    """Return whether all items are candidates, so that no row is left alone."""
    return not isinstance(candidates, Tensor) and candidates.ids is None


def touched_rows(batch: Batch, candidates: Candidates | Tensor) -> tuple[Tensor, Batch, Candidates | Tensor]:
    """Return the ids (U,) that occur, rising and 0 among them, and both arguments with places in it for ids."""
    drawn = candidates if isinstance(candidates, Tensor) else candidates.ids
    assert drawn is not None, "where every item is a candidate no row is left alone"
    zero = torch.zeros(1, dtype=torch.int64, device=batch.ids.device)
    own = zero if batch.own is None else batch.own.flatten()
    ids = torch.unique(torch.cat([zero, batch.ids.flatten(), batch.targets, drawn.flatten(), own]))
    drawn = torch.searchsorted(ids, drawn)
    batch = batch._replace(ids=torch.searchsorted(ids, batch.ids), targets=torch.searchsorted(ids, batch.targets))
    if batch.own is not None:
        batch = batch._replace(own=torch.searchsorted(ids, batch.own))
    return ids, batch, drawn if isinstance(candidates, Tensor) else candidates._replace(ids=drawn)
