"""Encoders with codes, and items that nobody has clicked yet: they enter the table by their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch

from export.items.features import FeatureRows
from model.codes.attributes import codes_by_features
from model.data.known_items import Newcomers
from model.nets.coded import CodedItems
from model.nets.encoder import Encoder
from model.nets.vectors import stored

__all__ = ["with_newcomers"]


def with_newcomers(
    encoders: Sequence[Encoder], known: FeatureRows, cold: Newcomers
) -> tuple[list[Encoder], tuple[str, ...]]:
    """Return encoders in eval mode that know more items, behind the others, and the shop ids of these.

    known: features of ids 0 to V. A newcomer without a feature that a known item has is left out: nothing says where it
    belongs. Encoders of a committee go on sharing their codes.
    """
    codes, placed = codes_by_features(stored(encoders), known, cold.rows)
    kept = tuple(item for item, there in zip(cold.item_ids, placed.tolist(), strict=True) if there)
    served = [deepcopy(encoder).eval() for encoder in encoders]
    if kept:
        table = served[0].items
        assert isinstance(table, CodedItems), "who asks has looked"
        longer = torch.cat([table.codes, torch.from_numpy(codes[placed]).to(table.codes.device)])
        for encoder in served:
            encoder.items.codes = longer
    return served, kept
