"""Codes of a training that begins with an earlier one: its books mean what they meant, so its codes stay.

An item that the earlier training did not know gets the codes nearest to the mean of the known items it was clicked
with, book by book: it is in the ranking at once, without another SVD. One that was clicked with none of them gets
random codes. Legend: V catalogue, m splits, W width of a sub-vector.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.bundle.vocabulary import PAD, Vocabulary
from model.codes.config import CodesConfig
from model.data.log import SessionLog
from model.errors import CheckpointError
from model.learn import checkpoint
from model.learn.warm.start import BOOKS, CODES, place_beside

__all__ = ["codes_from"]

_AT_ONCE = 1 << 16  # items compared with a book


def codes_from(directory: Path, log: SessionLog, config: CodesConfig, seed: int) -> NDArray[np.uint8]:
    """Return codes (V + 1, m) of the items of `log` by the checkpoint in `directory`. CheckpointError without any."""
    state = checkpoint.load(directory)
    try:
        weights, earlier = (state["best"] or state)["weights"], Vocabulary.from_bytes(state["vocabulary"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory} holds no model to start from: {error}") from error
    if CODES not in weights:
        raise CheckpointError(f"{directory} holds a model with a dense item table: it can't start one with codes")
    theirs, books = weights[CODES], weights[BOOKS]
    if books.shape[:2] != (config.splits, 1 << config.bits):
        bits = int(books.shape[1]).bit_length() - 1
        raise CheckpointError(
            f"{directory} holds items as {books.shape[0]} codes of {bits} bits: it can't start a training with "
            f"{config.splits} of {config.bits}"
        )
    items = len(log.vocabulary)
    old = earlier.look_up(log.vocabulary.items, items)  # (V,) 0 where unknown
    random = np.random.default_rng(seed)
    codes: NDArray[np.uint8] = random.integers(0, books.shape[1], (items + 1, config.splits), dtype=np.uint8)
    known = old != PAD  # (V,)
    codes[PAD] = 0
    codes[1:][known] = theirs[torch.from_numpy(old[known]).long()].numpy()
    if known.any() and not known.all():
        _code_beside(codes, np.concatenate(([False], known)), books, log.wanted())
    return codes


def _code_beside(codes: NDArray[np.uint8], known: NDArray[np.bool_], books: Tensor, log: SessionLog) -> None:
    """Change the codes (V + 1, m) of items that are not known and were clicked with known ones."""
    for split, book in enumerate(books):
        rows = book[torch.from_numpy(codes[:, split]).int()]  # (V + 1, W)
        placed = place_beside(rows, known, log).numpy()
        codes[placed, split] = _nearest(rows[placed], book).numpy()


def _nearest(rows: Tensor, book: Tensor) -> Tensor:
    """Return the code uint8 (n,) of the sub-vector nearest to each of rows (n, W)."""
    return torch.cat([torch.cdist(part, book).argmin(dim=1) for part in torch.split(rows, _AT_ONCE)]).to(torch.uint8)
