"""A scorer that gives lists as shoppers get them: by the shop's policy, by what the worker makes its lists with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.bundle.vocabulary import PAD
from export.events import LETTERS
from export.items.table import ItemTable
from export.policy.config import ListsConfig, read_lists
from export.policy.counts import Counts
from export.policy.maker import ListMaker
from export.policy.shopper import Shopper
from export.ranking.ranker import Ranker

__all__ = ["PolicyScorer", "one_list"]


def one_list(path: Path, placement: str | None, k: int) -> ListsConfig:
    """Return the list of a policy's file that is to be measured, K items long. ConfigError where there is no such."""
    config = read_lists(path, k).only(placement, str(path))
    [chosen] = config.placements
    longest = max([k, *(pin.place for pin in chosen.policy.pins)])  # pins beyond K stand where they stand
    return ListsConfig((msgspec.structs.replace(chosen, k=longest),), config.files)


class PolicyScorer:
    """Ranks sessions of catalogue ids by one list of a policy."""

    def __init__(self, ranker: Ranker, config: ListsConfig, table: ItemTable | None = None) -> None:
        self._vocabulary, self._maker = ranker.vocabulary, ListMaker(ranker, config, table)
        self.typed = ranker.typed  # reads skips and dislikes too

    @property
    def counts(self) -> Counts:
        """What the lists so far were like."""
        return self._maker.counts

    def rank(
        self, sessions: Sequence[NDArray[np.int32]], k: int, /, kinds: Sequence[NDArray[np.int32]] | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return ids (B, k) and scores (B, k) of the lists; id 0 and -inf where one is shorter.

        kinds: code of each event (export/events.py); without, all are clicks.
        """
        items = [self._vocabulary.decode(session.tolist()) for session in sessions]
        if kinds is None:
            shoppers = [Shopper.of_clicks(one) for one in items]
        else:
            letters = ["".join(LETTERS[code - 1] for code in row.tolist()) for row in kinds]
            shoppers = [Shopper(one, kind) for one, kind in zip(items, letters, strict=True)]
        ids = np.full((len(sessions), k), PAD, dtype=np.int32)
        scores = np.full((len(sessions), k), -np.inf, dtype=np.float32)
        for row, (made,) in enumerate(self._maker.make(shoppers)):
            listed = made.items[:k]
            ids[row, : len(listed)] = [self._vocabulary.index(item) for item, _ in listed]
            scores[row, : len(listed)] = [score for _, score in listed]
        return ids, scores
