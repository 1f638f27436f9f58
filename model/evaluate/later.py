"""Everything that is still to come as the target: the protocol of several interests.

The first 80 % of a session (a user's history) are given, once; the distinct items of all the rest are looked for among
the best k of the whole catalogue. Next-item evaluation asks for one item, which one interest can give; this asks for
all that a shopper still wants.

- recall@k: share of the items looked for that are in the list; mean over sessions.
- ndcg@k: 1 / log2(place + 1) summed over those found, over that of a list with all of them first.
- hr@k: share of the sessions with at least one of them in the list.
- coverage@k as everywhere; distance@k, where features are given: mean over lists of the mean Jaccard distance of two of
  their items' features (model/evaluate/diversity.py).

Source: Cen et al., KDD 2020 (ComiRec), section 4.1, and THUDM/ComiRec, src/train.py. Departures: its code counts an
item that comes twice twice, and divides DCG by that of the items found alone, which rewards nothing but their order.

Legend: B sessions, K places of a list, V catalogue items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.items.features import FeatureRows
from model.data.log import SessionLog
from model.evaluate.diversity import mean_distance
from model.evaluate.protocol import Scorer

__all__ = ["GIVEN", "evaluate_later"]

GIVEN = 0.8  # of a session


def evaluate_later(
    scorer: Scorer,
    log: SessionLog,
    *,
    given: float = GIVEN,
    cutoffs: Sequence[int] = (20, 50),
    window: int | None = None,
    features: FeatureRows | None = None,
    batch: int = 128,
) -> dict[str, float]:
    """Return the figures of a scorer on a log in its vocabulary; `sessions`: how many had something to come.

    `window` cuts what is given to the newest so many clicks; features: of catalogue ids 0 to V. ConfigError for a share
    that leaves nothing on one side, or a log without a session of two clicks.
    """
    if not 0.0 < given < 1.0 or not cutoffs or min(cutoffs) < 1:
        raise ConfigError(f"given must lie between 0 and 1, cut-offs be at least 1: not {given} and {list(cutoffs)}")
    ends = np.floor(log.lengths * given).astype(np.int64)
    asked = np.flatnonzero((ends > 0) & (ends < log.lengths))
    if not len(asked):
        raise ConfigError("no session of the log has two clicks: there is nothing to predict")
    k = min(max(cutoffs), len(log.vocabulary))
    sums = {f"{name}@{cutoff}": 0.0 for cutoff in cutoffs for name in ("recall", "ndcg", "hr")}
    shown = {cutoff: np.zeros(len(log.vocabulary) + 1, bool) for cutoff in cutoffs}
    distances = dict.fromkeys(cutoffs, 0.0)
    for first in range(0, len(asked), batch):
        chosen = asked[first : first + batch]
        sessions = [log.session(one) for one in chosen.tolist()]
        parts = [(items[:end], items[end:]) for items, end in zip(sessions, ends[chosen].tolist(), strict=True)]
        ids, _ = scorer.rank([before[-window:] if window else before for before, _ in parts], k)
        lists = np.asarray(ids)
        for row, (_, after) in zip(lists, parts, strict=True):
            for name, value in _figures(row, np.unique(after), cutoffs).items():
                sums[name] += value
        for cutoff in cutoffs:
            shown[cutoff][lists[:, :cutoff].ravel()] = True
            if features is not None:
                distances[cutoff] += sum(mean_distance(row[row != PAD], features) for row in lists[:, :cutoff])
    found = {name: value / len(asked) for name, value in sums.items()}
    for cutoff in cutoffs:
        found[f"coverage@{cutoff}"] = float(shown[cutoff][PAD + 1 :].mean())
        if features is not None:
            found[f"distance@{cutoff}"] = distances[cutoff] / len(asked)
    return {**found, "sessions": float(len(asked))}


def _figures(row: NDArray[np.integer], wanted: NDArray[np.integer], cutoffs: Sequence[int]) -> dict[str, float]:
    """Return recall, ndcg and hr of one list (K,) for the items (n,) that come."""
    hits = np.isin(row, wanted) & (row != PAD)
    discount = 1.0 / np.log2(np.arange(2, len(row) + 2))
    found: dict[str, float] = {}
    for cutoff in cutoffs:
        count = int(hits[:cutoff].sum())
        ideal = discount[: min(cutoff, len(wanted))].sum()
        found[f"recall@{cutoff}"] = count / len(wanted)
        found[f"ndcg@{cutoff}"] = float((discount * hits)[:cutoff].sum() / ideal)
        found[f"hr@{cutoff}"] = float(count > 0)
    return found
