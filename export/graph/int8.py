"""The head that scores the catalogue in int8 and ranks the best of it exactly: about half the time of `TopK`.

B sessions, H hidden of all tables together, V catalogue without padding, E exclusions a session, K asked for, M margin,
C candidates.

Integer scores only choose candidates: the best K, one more for each exclusion, and M more, which is room for an item
that its rounding put too low. Their scores are then computed in float32, so the list is exact unless one of its items
is missing from the candidates. Whether that happens is measured on real sessions (export/graph/choice.py).

Each session's vector is divided by its own largest value before it is rounded, and a row sees just the candidates that
it would have alone: a list does not depend on who shares its batch. Vectors are rounded to 7 bits, as instructions
before VNNI add two products in 16 bits, and saturate with 8: the graph gives the same lists on any processor.

The graph holds standard operators, QuantizeLinear and DequantizeLinear. ONNX Runtime fuses them into one integer
product on the CPU; other providers compute the same numbers in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.after import Changes
from export.graph.topk import best_allowed, list_length

__all__ = ["Int8TopK"]

_LEVELS = 63  # a vector's values are -63..63, moved to 1..127 as uint8
_ZERO = 64
_TABLE_LEVELS = 127  # an item's values are -127..127
_LEAST = 1e-30  # instead of the largest value of a vector that is all zeros


class Int8TopK(nn.Module):
    """Rank the whole catalogue by rounded scores, and the best candidates again by exact ones."""

    table: Tensor
    scale: Tensor
    step: Tensor
    zero: Tensor
    table_zero: Tensor

    def __init__(self, tables: Sequence[Tensor], margin: int) -> None:
        """Take item tables (V + 1, H_i), parameters, whose row 0 is padding; a session's vector has all their widths.

        They are shared, not copied. margin: candidates more than exact scores would need.
        ConfigError for an empty catalogue or a negative margin.
        """
        super().__init__()
        if tables[0].shape[0] < PAD + 2:
            raise ConfigError("the catalogue has no items")
        if margin < 0:
            raise ConfigError(f"the margin is {margin}; it must not be negative")
        self.exact = nn.ParameterList(tables)
        self.margin = margin
        rows = torch.cat([table.detach() for table in tables], dim=1)[PAD + 1 :]  # (V, H)
        scale = rows.abs().amax(dim=1).clamp(min=_LEAST) / _TABLE_LEVELS  # (V,)
        self.register_buffer("table", (rows / scale[:, None]).round().to(torch.int8).T.contiguous())  # (H, V)
        self.register_buffer("scale", scale)
        self.register_buffer("step", torch.tensor(1 / _LEVELS))
        self.register_buffer("zero", torch.tensor(_ZERO, dtype=torch.uint8))
        self.register_buffer("table_zero", torch.zeros_like(scale, dtype=torch.int8))

    def forward(self, hidden: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return catalogue ids int32 (B, K), best first, and their scores float32 (B, K), as `TopK.forward` does."""
        ids, beyond, length = self._candidates(self._rounded_scores(hidden), exclude, k)
        scores = self._exact_scores(hidden, ids).masked_fill(beyond, -torch.inf)
        return best_allowed(ids.to(torch.int32), scores, exclude, length)

    def after(self, hidden: Tensor, exclude: Tensor, k: Tensor, changes: Changes) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `TopK.after` does; the norm is that of rounded scores, the same for a session's whole list."""
        rounded = self._rounded_scores(hidden) * _largest(hidden)
        norm = changes.norm(rounded)
        ids, beyond, length = self._candidates(changes.onto(rounded, norm), exclude, k)
        scores = changes.at(ids, self._exact_scores(hidden, ids), norm).masked_fill(beyond, -torch.inf)
        return (*best_allowed(ids.to(torch.int32), scores, exclude, length), norm)

    def _candidates(self, rounded: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor, int]:
        """Return ids int64 (B, C), best first, which of them a row would not have alone, and K."""
        items = self.table.shape[1]
        length = list_length(k, items)
        enough = torch.sym_min(length + exclude.shape[1] + self.margin, items)  # type: ignore[no-untyped-call]
        places = torch.topk(rounded, enough, dim=1)[1]  # (B, C), best first
        own = length + self.margin + (exclude != PAD).sum(dim=1, keepdim=True)  # (B, 1) a row's own number of them
        return places + PAD + 1, torch.arange(enough, device=rounded.device) >= own, length

    def _rounded_scores(self, hidden: Tensor) -> Tensor:
        """Return (B, V) scores of rounded vectors and items, each row divided by its vector's largest value."""
        unit = hidden / _largest(hidden)
        if not torch.compiler.is_exporting():
            whole = (unit / self.step).round() @ self.table.float()  # whole numbers under 2^24: exact in float32
            return whole * (self.scale * self.step)
        vector = _operator("QuantizeLinear", unit, self.step, self.zero, dtype=torch.uint8)
        vector = _operator("DequantizeLinear", vector, self.step, self.zero)
        return vector @ _operator("DequantizeLinear", self.table, self.scale, self.table_zero, axis=1)

    def _exact_scores(self, hidden: Tensor, ids: Tensor) -> Tensor:
        """Return float32 scores (B, C) of ids int64 (B, C)."""
        parts = torch.split(hidden, [table.shape[1] for table in self.exact], dim=1)  # (B, H_i) each
        products = [
            (nn.functional.embedding(ids, table) @ part.unsqueeze(2)).squeeze(2)  # (B, C, H_i) x (B, H_i, 1) -> (B, C)
            for table, part in zip(self.exact, parts, strict=True)
        ]
        return torch.stack(products).sum(dim=0) if len(products) > 1 else products[0]


def _largest(hidden: Tensor) -> Tensor:
    """Return the largest value of each vector, (B, 1)."""
    return hidden.abs().amax(dim=1, keepdim=True).clamp(min=_LEAST)


def _operator(name: str, x: Tensor, *inputs: Tensor, dtype: torch.dtype = torch.float32, **attrs: int) -> Tensor:
    """Return what ONNX's operator `name` gives, of the shape of x, in the graph that is being exported."""
    found = torch.onnx.ops.symbolic(name, (x, *inputs), attrs={**attrs}, dtype=dtype, shape=x.shape, version=18)
    return torch.as_tensor(found)
