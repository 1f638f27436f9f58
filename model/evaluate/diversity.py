"""How unlike the items of a list are, by what is known of them.

Legend: K items of a list, U different features of theirs.
Source: Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.items.features import FeatureRows

__all__ = ["mean_distance"]


def mean_distance(items: NDArray[np.integer], features: FeatureRows) -> float:
    """Return the mean over pairs of items (K,) of 1 - |A and B| / |A or B|, A and B their features.

    Items without features are left out; 0 where fewer than two are left.
    """
    items = items[features.counts[items] > 0]
    if len(items) < 2:
        return 0.0
    counts = features.counts[items]
    codes = np.concatenate([features.codes[features.offsets[item] : features.offsets[item + 1]] for item in items])
    _, column = np.unique(codes, return_inverse=True)
    has = np.zeros((len(items), int(column.max()) + 1), np.float32)  # (K, U)
    has[np.repeat(np.arange(len(items)), counts), column] = 1.0
    both = has @ has.T  # (K, K)
    own = has.sum(axis=1)
    either = own[:, None] + own[None, :] - both
    distance = 1.0 - both / either
    return float(distance.sum() / (len(items) * (len(items) - 1)))
