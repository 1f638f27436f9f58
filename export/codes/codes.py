"""An item table as codes: item i's vector is the sub-vectors that its m codes name, one from each of m books.

    E[i] = concat(books[0][codes[i, 0]], ..., books[m - 1][codes[i, m - 1]])
    score(i) = sum over k of S[k, codes[i, k]],   S[k] = books[k] @ the session's k-th sub-vector

So an item costs m codes and not H numbers, and a score m look-ups and not H products. Items with the same codes have
the same vector and the same score: then the one with the lower catalogue id is listed first, as by a dense table.

Source: Petrov & Macdonald, "RecJPQ", WSDM 2024. Legend: V catalogue, m splits, b bits a code, H hidden width, W = H / m
width of a sub-vector, B sessions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.errors import BundleError
from export.npy import one_at_a_time

__all__ = ["BOOKS", "CODES", "CODE_BITS", "ItemCodes"]

CODES = "codes.npy"  # (V + 1, m) uint8; of 4 bits two a byte, (V + 1, ceil(m / 2)), the first in the lower half
BOOKS = "books.npy"  # (m, 2^b, W) float32, which says m and b
CODE_BITS = (8, 4)
_LARGEST = 1e6  # of a book's numbers; those of a trained model are under 100


@dataclass(frozen=True, slots=True, eq=False)
class ItemCodes:
    """The item table of a coded model. The arrays are not to be written to."""

    codes: NDArray[np.uint8]  # (V + 1, m), one code a byte; row 0 is padding, all zeros
    books: NDArray[np.float32]  # (m, 2^b, W)

    def __post_init__(self) -> None:
        """ValueError where codes and books are no table, or don't fit each other."""
        _check_books(self.books)
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2 or len(self.codes) < PAD + 2:
            raise ValueError(f"codes must be uint8 (V + 1, m), not {self.codes.dtype} {self.codes.shape}")
        if self.codes.shape[1] != self.splits:
            raise ValueError(f"items have {self.codes.shape[1]} codes, but there are {self.splits} books")
        if self.code_bits < 8 and int(self.codes.max()) >= self.values:
            raise ValueError(f"a code is {int(self.codes.max())}, but a book has {self.values} sub-vectors")
        if self.codes[PAD].any():
            raise ValueError("the codes of padding, row 0, must be 0")

    @property
    def items(self) -> int:
        """V, the catalogue without padding."""
        return len(self.codes) - 1

    @property
    def splits(self) -> int:
        """m, codes an item."""
        return int(self.books.shape[0])

    @property
    def values(self) -> int:
        """2^b, sub-vectors a book."""
        return int(self.books.shape[1])

    @property
    def code_bits(self) -> int:
        """b, bits a code: 8 or 4."""
        return self.values.bit_length() - 1

    @property
    def hidden(self) -> int:
        """H, the width of an item's vector."""
        return self.splits * int(self.books.shape[2])

    @property
    def file_bytes(self) -> int:
        """Bytes of the codes and the books as `save` writes them, headers left out."""
        return len(self.codes) * -(-self.splits * self.code_bits // 8) + self.books.nbytes

    def vectors(self, ids: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the vectors (n, H) of catalogue ids (n,), of which 0, padding, is all zeros."""
        found: NDArray[np.float32] = self.books[np.arange(self.splits), self.codes[ids]].reshape(-1, self.hidden)
        found[np.asarray(ids) == PAD] = 0.0
        return found

    def table(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the partial scores (B, m, 2^b) of sessions' vectors (B, H), contiguous: see S above."""
        parts = vectors.reshape(len(vectors), self.splits, -1).transpose(1, 2, 0)  # (m, W, B)
        return np.ascontiguousarray((self.books @ parts).transpose(2, 0, 1))

    def save(self, folder: Path | str) -> None:
        """Write `codes.npy` and `books.npy` into a folder that is there."""
        codes = self.codes if self.code_bits == 8 else _packed(self.codes)
        np.save(Path(folder) / CODES, codes, allow_pickle=False)
        np.save(Path(folder) / BOOKS, self.books, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path | str, *, items: int | None = None, mmap: bool = True) -> "ItemCodes":
        """Read what `save` wrote. mmap: 8-bit codes stay in the file; those of 4 bits are unpacked, a byte each.

        BundleError `bad_codes` where a file can't be read, where they don't fit each other, or aren't of `items` items.
        """
        books = np.ascontiguousarray(_read(Path(folder) / BOOKS, mapped=False))
        codes = _read(Path(folder) / CODES, mapped=mmap)
        try:
            _check_books(books)
            if books.shape[1] == 16:
                codes = _unpacked(codes, splits=len(books))
            if codes.ndim and items is not None and len(codes) != items + 1:
                raise ValueError(f"there are codes of {len(codes) - 1:,} items; the vocabulary has {items:,}")
            return cls(codes, books)
        except ValueError as error:
            raise BundleError("bad_codes", f"{CODES} and {BOOKS}: {error}") from error


def _check_books(books: NDArray[Any]) -> None:
    if books.dtype != np.float32 or books.ndim != 3 or 0 in books.shape:
        raise ValueError(f"books must be float32 (m, 2^b, W), not {books.dtype} {books.shape}")
    if books.shape[1] not in [1 << bits for bits in CODE_BITS]:
        raise ValueError(f"a book has {books.shape[1]} sub-vectors; codes of 8 bits have 256, of 4 bits 16")
    if not np.isfinite(books).all():
        raise ValueError("the books hold numbers that are not finite")
    if (largest := float(np.abs(books).max())) > _LARGEST:
        raise ValueError(f"the books hold numbers up to {largest:.1e}; above {_LARGEST:.0e} no training gives any")


def _packed(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return codes (V + 1, m) of 4 bits as (V + 1, ceil(m / 2)), the first of two in the lower half of a byte."""
    packed: NDArray[np.uint8] = codes[:, ::2].copy()
    packed[:, : codes.shape[1] // 2] |= codes[:, 1::2] << 4
    return packed


def _unpacked(packed: NDArray[Any], *, splits: int) -> NDArray[np.uint8]:
    """Return what `_packed` was given; ValueError for what it can't have made."""
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-splits // 2):
        raise ValueError(f"{splits} codes of 4 bits don't fit {packed.dtype} {packed.shape}")
    codes = np.empty((len(packed), 2 * packed.shape[1]), np.uint8)
    codes[:, ::2], codes[:, 1::2] = packed & 15, packed >> 4
    if codes[:, splits:].any():
        raise ValueError(f"an item has more than {splits} codes")
    return np.ascontiguousarray(codes[:, :splits])


def _read(path: Path, *, mapped: bool) -> NDArray[Any]:
    try:
        found: NDArray[Any] = one_at_a_time(
            lambda: np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        )
    except Exception as error:  # a damaged header raises whatever Python's tokenizer and numpy come across
        raise BundleError("bad_codes", f"{path} can't be read: {error}") from error
    if not isinstance(found, np.ndarray):  # an archive of arrays
        raise BundleError("bad_codes", f"{path} holds no array")
    return found
