"""What a batch's positions are scored against, column by column, and the gradient that comes back to the item table.

Dense: rows of candidates times the hidden vectors, in the precision of the products. Coded, the whole catalogue: sums
of partial scores, a block of items at a time, so that neither the items' rows nor their gradient are ever there; the
derivative by a partial score is the sum of those of the items that have its code:

    S = books . h,   scores[i] = sum_k S[k, code_ik],   dL/dS[k, c] = sum of g_i over code_ik = c,
    dL/dh = sum_k dL/dS[k] . books[k],   dL/dbooks[k] = dL/dS[k] (outer) h

Candidates that are drawn are rows gathered from the books (model/learn/rows.py), and dense here.
Legend: t positions of a chunk, C columns, H hidden width, V catalogue, m splits, b bits a code, n ids.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from export.bundle.vocabulary import PAD
from model.learn.losses.matmul import Products, chunk_rows
from model.nets.coded import Coded

__all__ = ["CodedColumns", "Columns", "DenseColumns", "columns_of"]

MOST_SCORES = 1 << 26  # of a chunk against a whole coded catalogue, 256 MiB; so large only from 262,144 items


class Columns(ABC):
    """Candidates, and the gradient of their table."""

    count: int  # C

    @abstractmethod
    def own(self, ids: Tensor) -> Tensor:
        """Return the rows (n, H) of ids (n,) of the table."""

    @abstractmethod
    def scores(self, hidden: Tensor) -> Tensor:
        """Return the scores (t, C) of hidden (t, H), valid until the next call."""

    @abstractmethod
    def pull_back(self, grads: Tensor, hidden: Tensor) -> Tensor:
        """Return dL/dhidden (t, H) for the derivatives (t, C) of the scores, and keep what they say of the table."""

    @abstractmethod
    def few(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return places, a table of the rows at them, and the ids of that table's rows; None: the table itself."""

    @abstractmethod
    def add_(self, ids: Tensor, rows: Tensor) -> None:
        """Add rows (n, H) to the gradient of ids (n,)."""

    @abstractmethod
    def gradient(self) -> Tensor:
        """Return the gradient of what has weights: the table (V + 1, H), or the books (m, 2^b, W)."""

    def chunk(self) -> int:
        """Return how many positions are scored at once."""
        return chunk_rows(self.count)


class DenseColumns(Columns):
    """Rows of a table."""

    def __init__(self, table: Tensor, ids: Tensor | None, products: Products) -> None:
        """ids (C,), the whole catalogue for None."""
        self.table, self.ids, self.products = table, ids, products
        self.rows = products.rows(table, ids)  # (C, H)
        self.count = self.rows.shape[0]
        self._to_rows: Tensor | None = None
        self._single: list[tuple[Tensor, Tensor]] = []

    def own(self, ids: Tensor) -> Tensor:
        """Return the rows of ids."""
        return self.table[ids]

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the product of hidden and rows."""
        return self.products.scores(hidden, self.rows)

    def pull_back(self, grads: Tensor, hidden: Tensor) -> Tensor:
        """Return grads times rows; adds grads^T times hidden."""
        if self._to_rows is None:
            self._to_rows = torch.zeros(self.rows.shape, dtype=self.table.dtype, device=self.table.device)
        return self.products.pull_back(grads, hidden, self.rows, self._to_rows)

    def few(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the ids and the table."""
        return ids, self.table, None

    def add_(self, ids: Tensor, rows: Tensor) -> None:
        """Keep them for `gradient`."""
        self._single.append((ids, rows))

    def gradient(self) -> Tensor:
        """Return (V + 1, H)."""
        to_table = torch.zeros_like(self.table)
        if self._to_rows is not None and self.ids is None:
            to_table[PAD + 1 :] = self._to_rows
        elif self._to_rows is not None and self.ids is not None:
            to_table.index_add_(0, self.ids, self._to_rows)
        for ids, rows in self._single:
            to_table.index_add_(0, ids, rows)
        return to_table


class CodedColumns(Columns):
    """The whole coded catalogue: column i - 1 is id i."""

    def __init__(self, coded: Coded, products: Products, width: int = 0) -> None:
        """width: columns of the scores, where more than items are asked for; those behind hold anything."""
        self.coded, self.products = coded, products
        self.count = max(coded.items, width)
        self._to_books = torch.zeros_like(coded.books)

    def own(self, ids: Tensor) -> Tensor:
        """Return the rows of ids."""
        return self.coded.rows(ids)

    def scores(self, hidden: Tensor) -> Tensor:
        """Return sums of partial scores."""
        partial = self.coded.partial(hidden)  # (m * 2^b, t)
        scores = self.products.scratch.take("coded scores", hidden.shape[0], self.count, like=hidden)
        for ids in self.coded.blocks():
            scores[:, ids[0] - 1 : ids[-1]] = self.coded.scores(partial, ids).T
        return scores

    def pull_back(self, grads: Tensor, hidden: Tensor) -> Tensor:
        """Return the derivatives by hidden, through those by the partial scores."""
        splits, values, width = self.coded.books.shape
        to_partial = hidden.new_zeros(splits * values, hidden.shape[0])
        for ids in self.coded.blocks():
            part = grads[:, ids[0] - 1 : ids[-1]].T.contiguous()  # (n, t)
            for places in self.coded.places(ids).T:
                to_partial.index_add_(0, places, part)
        by_book = to_partial.view(splits, values, -1)
        parts = hidden.view(-1, splits, width).transpose(0, 1)  # (m, t, W)
        self._to_books += by_book @ parts
        return (by_book.transpose(1, 2) @ self.coded.books).transpose(0, 1).flatten(1)  # (m, t, W) -> (t, H)

    def few(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the rows of the distinct ids, and their places among them."""
        used, places = torch.unique(torch.cat([ids.new_zeros(1), ids.flatten()]), return_inverse=True)
        return places[1:].view(ids.shape), self.coded.rows(used), used

    def add_(self, ids: Tensor, rows: Tensor) -> None:
        """Add them to the books."""
        self.coded.add_rows_(self._to_books, ids, rows)

    def gradient(self) -> Tensor:
        """Return (m, 2^b, W)."""
        return self._to_books

    def chunk(self) -> int:
        """Return how many positions are scored at once: fewer against millions."""
        return max(1, min(super().chunk(), MOST_SCORES // self.count))


def columns_of(weight: Tensor, codes: Tensor | None, ids: Tensor | None, products: Products) -> Columns:
    """Return the columns of `ids` (C,), or all for None, of a table `weight`; of books where there are codes."""
    if codes is None:
        return DenseColumns(weight, ids, products)
    assert ids is None, "candidates that are drawn are rows of a dense table"
    return CodedColumns(Coded(codes, weight), products)
