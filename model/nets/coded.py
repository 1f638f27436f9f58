"""The item table as codes and books (export/codes/codes.py), as it is learned: books alone have weights.

    E[i] = concat over k of books[k, codes[i, k]],   S = hidden . books,   score(i) = sum over k of S[k, codes[i, k]]

Rows are gathered for the items that a step or a session touches, and the whole catalogue is scored by partial sums, a
block of items at a time: there is no (V, H) anywhere. Sums run over the splits in their order, so that items with the
same codes have the same score to the last bit. Legend: V catalogue, m splits, b bits a code, W = H / m, n items, T
positions.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from export.bundle.vocabulary import PAD
from export.codes.codes import ItemCodes

__all__ = ["BLOCK", "Coded", "CodedItems"]

BLOCK = 1 << 14  # items scored at once


class Coded(NamedTuple):
    """Codes and books."""

    codes: Tensor  # (V + 1, m) uint8
    books: Tensor  # (m, 2^b, W)

    @property
    def items(self) -> int:
        """V."""
        return self.codes.shape[0] - 1

    @property
    def hidden(self) -> int:
        """H."""
        return self.books.shape[0] * self.books.shape[2]

    def rows(self, ids: Tensor) -> Tensor:
        """Return the vectors (..., H) of ids (...); padding has zeros, and no gradient."""
        rows = functional.embedding(self.places(ids), self.books.flatten(0, 1)).flatten(-2)  # (..., m, W) -> (..., H)
        return rows * (ids != PAD).unsqueeze(-1)

    def places(self, ids: Tensor) -> Tensor:
        """Return the places (..., m) of the sub-vectors of ids (...) among those of all books, laid end to end."""
        splits, values = self.books.shape[:2]
        codes = self.codes.index_select(0, ids.flatten()).int()  # (n, m)
        codes = codes + values * torch.arange(splits, dtype=torch.int32, device=codes.device)
        return codes.reshape(*ids.shape, splits)

    def partial(self, hidden: Tensor) -> Tensor:
        """Return the partial scores S (m * 2^b, T) of hidden (T, H)."""
        parts = hidden.view(hidden.shape[0], self.books.shape[0], -1).permute(1, 2, 0)  # (m, W, T)
        return torch.as_tensor((self.books @ parts).flatten(0, 1))

    def scores(self, partial: Tensor, ids: Tensor) -> Tensor:
        """Return the scores (n, T) of ids (n,) by the partial ones (m * 2^b, T)."""
        return functional.embedding_bag(self.places(ids), partial, mode="sum")

    def add_rows_(self, to_books: Tensor, ids: Tensor, to_rows: Tensor) -> None:
        """Add to the gradient of the books, (m, 2^b, W), that of the rows (n, H) of ids (n,)."""
        width = self.books.shape[2]
        to_books.view(-1, width).index_add_(0, self.places(ids).flatten(), to_rows.reshape(-1, width))

    def blocks(self) -> Iterator[Tensor]:
        """Yield the ids of the whole catalogue, padding left out, int64 (n,) some at a time."""
        for first in range(PAD + 1, self.items + 1, BLOCK):
            yield torch.arange(first, min(first + BLOCK, self.items + 1), device=self.codes.device)


class CodedItems(nn.Module):
    """The item table of an encoder, in the place of `nn.Embedding`."""

    codes: Tensor

    def __init__(self, codes: Tensor, hidden: int, bits: int) -> None:
        """Take codes (V + 1, m) uint8, not copied; books begin at random, from torch's state."""
        super().__init__()
        splits = codes.shape[1]
        self.register_buffer("codes", codes)
        self.books = nn.Parameter(torch.empty(splits, 1 << bits, hidden // splits))
        bound = math.sqrt(6.0 / (splits * (1 << bits) + hidden))  # Xavier's, of all sub-vectors as one matrix
        nn.init.uniform_(self.books, -bound, bound)

    @property
    def coded(self) -> Coded:
        """Codes and books; the gradient of the books is that of the table."""
        return Coded(self.codes, self.books)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors (..., H) of ids (...)."""
        return self.coded.rows(ids)

    def digest(self) -> int:
        """Return a number that other codes hardly share."""
        codes: NDArray[np.uint8] = self.codes.cpu().numpy()
        return zlib.crc32(np.ascontiguousarray(codes).data)

    def stored(self) -> ItemCodes:
        """Return what a bundle stores."""
        return ItemCodes(self.codes.cpu().numpy(), self.books.detach().cpu().float().numpy())
