"""Products of sessions with the catalogue, by far the most work of a step: in bfloat16 where the processor has it.

Legend: T positions, C candidate columns, H hidden width.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch
from torch import Tensor

from model.learn.config import Precision

__all__ = ["Products", "Scratch", "bfloat16_is_native", "chunk_rows"]

CHUNK_SCORES = 1 << 21  # scores of a chunk, 8 MiB: small enough for the caches, large enough for the products
CHUNK_LEAST = 256  # positions; fewer make the products slow however many columns there are

# A product in bfloat16 compiles its kernel anew for each shape: sizes that change at every step are padded to multiples
COLUMNS_ALIKE, POSITIONS_ALIKE = 128, 64


def chunk_rows(columns: int) -> int:
    """Return how many positions are scored at once against so many columns."""
    return max(CHUNK_LEAST, CHUNK_SCORES // columns)


def bfloat16_is_native(device: torch.device) -> bool:
    """Return whether products in bfloat16 run in hardware here (AVX-512 BF16 or AMX; a GPU that has it)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe is not None and probe() for probe in probes)


class Scratch:
    """Buffers used again at each step: a large allocation costs more in page faults than its product."""

    def __init__(self) -> None:
        self._flat: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int, like: Tensor) -> Tensor:
        """Return a tensor of `shape`, type and device of `like`, any contents; valid until the name is taken again."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.numel() < size or flat.dtype != like.dtype or flat.device != like.device:
            flat = self._flat[name] = torch.empty(size + size // 8, dtype=like.dtype, device=like.device)
        return flat[:size].view(shape)


class Products:
    """Products in the precision chosen; what they return is float32 and lies in buffers that are used again."""

    def __init__(self, precision: Precision = "float32", device: torch.device | str = "cpu") -> None:
        self._device = device = torch.device(device)
        native = precision == "auto" and bfloat16_is_native(device)
        self.half = precision == "bfloat16" or native
        self.scratch = Scratch()
        self._half_rows = torch.empty(0)  # what `rows` returned last, with the padding behind it

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context the encoder runs in: mixed precision on a GPU, as it is on the CPU."""
        if self._device.type == "cuda" and self.half:
            return torch.autocast("cuda", torch.bfloat16)
        return contextlib.nullcontext()

    def rows(self, table: Tensor, ids: Tensor | None) -> Tensor:
        """Return the item rows (C, H) of `ids`, of the whole catalogue for None, in the precision of the products.

        Valid until the next call; `scores` and `pull_back` take what the last call returned.
        """
        if ids is None:
            rows = table[1:]
        else:
            rows = self.scratch.take("rows", ids.shape[0], table.shape[1], like=table)
            torch.index_select(table, 0, ids, out=rows)
        if self.half:
            self._half_rows = self._padded("half rows", rows, COLUMNS_ALIKE)
            rows = self._half_rows[: rows.shape[0]]
        return rows

    def scores(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return hidden (T, H) times rows (C, H): (T, C) float32, valid until the next call."""
        scores = self.scratch.take("scores", hidden.shape[0], rows.shape[0], like=hidden)
        if not self.half:
            return torch.mm(hidden, rows.T, out=scores)
        wide = self._padded("half hidden", hidden, POSITIONS_ALIKE)
        half = self.scratch.take("half", wide.shape[0], self._half_rows.shape[0], like=rows)
        torch.mm(wide, self._half_rows.T, out=half)
        return scores.copy_(half[: hidden.shape[0], : rows.shape[0]])

    def pull_back(self, grads: Tensor, hidden: Tensor, rows: Tensor, to_rows: Tensor) -> Tensor:
        """Return grads (T, C) times rows, (T, H), and add grads^T times hidden to `to_rows` (C, H) float32."""
        if not self.half:
            to_rows.addmm_(grads.T, hidden)
            return grads @ rows
        count, columns = grads.shape
        wide = self._padded("half hidden", hidden, POSITIONS_ALIKE)
        half = self.scratch.take("half", wide.shape[0], self._half_rows.shape[0], like=rows)
        half[:count, :columns].copy_(grads)
        half[count:].zero_()
        half[:, columns:].zero_()
        to_rows += (half.T @ wide)[:columns]
        return (half @ self._half_rows)[:count].float()

    def _padded(self, name: str, x: Tensor, alike: int) -> Tensor:
        """Return x (N, H) in bfloat16 with rows of zeros up to a multiple of `alike`."""
        count = -(-x.shape[0] // alike) * alike
        padded = self.scratch.take(name, count, x.shape[1], like=x.new_empty(0, dtype=torch.bfloat16))
        padded[: x.shape[0]].copy_(x)
        padded[x.shape[0] :].zero_()
        return padded
