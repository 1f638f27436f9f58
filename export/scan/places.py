"""Exclusions as the scans read them."""

import numpy as np

from export.bundle.vocabulary import PAD
from export.ranking.ragged import Ragged

__all__ = ["places_of"]


def places_of(excluded: Ragged) -> Ragged:
    """Return rows of catalogue ids as ascending places, which count from 0, padding left out."""
    if not excluded.values.any():
        return Ragged.empty(len(excluded.lengths))
    row = np.repeat(np.arange(len(excluded.lengths)), excluded.lengths)
    kept = excluded.values != PAD
    row, values = row[kept], excluded.values[kept] - np.int32(PAD + 1)
    order = np.lexsort((values, row))
    return Ragged(np.ascontiguousarray(values[order]), np.bincount(row, minlength=len(excluded.lengths)))
