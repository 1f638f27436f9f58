"""Factors of items by truncated SVD of the session-item matrix, in memory of the items' size alone.

A is (S, V), A[s, i] the clicks of session s on item i. Scaled, each is divided by the square roots of the session's and
the item's clicks: without, the first factors tell the most clicked items apart, and hardly any of the others. The right
singular vectors of A are the eigenvectors of A^T A, whose product with a thin matrix is summed over the sessions, some
at a time: the log is read as it lies, mapped or not. Found by subspace iteration from a random start, as scikit-learn's
TruncatedSVD does (Halko, Martinsson & Tropp, SIAM Review 2011). Legend: S sessions, V catalogue, m factors, k = m and
some more columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from export.bundle.vocabulary import PAD
from model.data.log import SessionLog

__all__ = ["leading", "svd_factors"]

MORE = 8  # columns beside those wanted: the iteration then parts the last of them from what follows
ROUNDS = 7
SESSIONS = 1 << 17  # of a product at once: their sums are (sessions, k)
ROWS = 1 << 13  # of a thin matrix at once: 9 MB in 64 bits, of 136 columns
LEAST = 1e-9  # of the largest eigenvalue: a direction with less is none

Thin = NDArray[np.float32]


def svd_factors(log: SessionLog, count: int, seed: int, *, scaled: bool = True) -> Thin:
    """Return factors (V, m) of ids 1..V, m = count, the largest first; 0 where the log has fewer directions."""
    scale = 1.0 / np.sqrt(np.maximum(log.popularity(), 1)).astype(np.float32) if scaled else None  # (V,)
    return leading(lambda thin: _product(log, thin, scale), len(log.vocabulary), count, seed)[0]


def leading(
    product: Callable[[Thin], Thin], items: int, count: int, seed: int, *, rounds: int = ROUNDS
) -> tuple[Thin, NDArray[np.float64]]:
    """Return the leading eigenvectors (V, m) and eigenvalues (m,) of a symmetric matrix, the largest first; 0 where it
    has fewer. product: gives the matrix times a thin one (V, k), and need not keep that."""
    width = min(items, count + MORE)
    basis = np.random.default_rng(seed).standard_normal((items, width), dtype=np.float32)
    for _ in range(rounds):
        basis = _orthonormal(product(basis))
    gram = _gram(basis, product(basis))
    turned = _turn(basis, gram, width)
    factors, values = np.zeros((items, count), np.float32), np.zeros(count)
    factors[:, : min(count, width)] = turned[:, :count]
    values[: min(count, width)] = np.linalg.eigvalsh(gram)[::-1][:count]
    return factors, values


def _product(log: SessionLog, thin: Thin, scale: NDArray[np.float32] | None) -> Thin:
    """Return A^T A times thin (V, k), of A scaled where there is a scale (V,) of its columns."""
    total = np.zeros_like(thin)
    thin = thin if scale is None else thin * scale[:, None]
    for first in range(0, log.sessions, SESSIONS):
        offsets = log.offsets[first : first + SESSIONS + 1]
        ids = log.items[offsets[0] : offsets[-1]] - (PAD + 1)
        clicks = np.ones(len(ids), np.float32)
        if scale is not None:
            lengths = np.diff(offsets)
            clicks = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        part = sparse.csr_matrix((clicks, ids, offsets - offsets[0]), shape=(len(offsets) - 1, len(thin)))
        total += part.T @ (part @ thin)
    if scale is not None:
        total *= scale[:, None]
    return total


def _orthonormal(thin: Thin) -> Thin:
    """Return thin (V, k) with columns of length 1 at right angles, in its place; zeros where it has fewer."""
    return _turn(thin, _gram(thin, thin), thin.shape[1], unit=True)


def _gram(left: Thin, right: Thin) -> NDArray[np.float64]:
    """Return left^T right (k, k), summed in float64."""
    total = np.zeros((left.shape[1], right.shape[1]))
    for first in range(0, len(left), ROWS):
        rows = slice(first, first + ROWS)
        total += left[rows].T.astype(np.float64) @ right[rows].astype(np.float64)
    return (total + total.T) / 2


def _turn(thin: Thin, gram: NDArray[np.float64], width: int, *, unit: bool = False) -> Thin:
    """Multiply thin (V, k) with the eigenvectors of gram, the largest first, in its place; `unit`: scaled to 1."""
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
    there = values > LEAST * max(values[0], np.finfo(np.float64).tiny)
    scale = np.where(there, 1.0 / np.sqrt(np.where(there, values, 1.0)) if unit else 1.0, 0.0)
    turn = (vectors * scale).astype(np.float32)
    for first in range(0, len(thin), ROWS):
        rows = slice(first, first + ROWS)
        thin[rows] = thin[rows] @ turn
    return thin
