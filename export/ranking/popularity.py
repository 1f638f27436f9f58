"""Lists of popular items: what is answered for a session without a known item, and where no model can be had."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from export.bundle.bundle import Bundle

__all__ = ["PopularityRanker", "RankedList"]


class RankedList(NamedTuple):
    """One list for one session."""

    items: list[tuple[str, float]]  # shop id and score, best first; a popularity list has shares of clicks as scores
    fallback: bool  # True: popularity, as no item of the session is known
    interests: tuple[int, ...] = ()  # of a model of several: which of them each item came from, from 0; -1: none


class PopularityRanker:
    """Answers every session with a bundle's most popular items; its graph is neither opened nor needed."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._by_popularity = (np.argsort(-bundle.popularity, kind="stable") + 1).astype(np.int32)  # (V,) catalogue ids
        self._clicks = max(1, int(bundle.popularity.sum()))

    @property
    def version(self) -> str:
        """The version of the bundle that was counted."""
        return self.bundle.manifest.version

    @property
    def k_max(self) -> int:
        """The longest list: the whole catalogue."""
        return len(self.bundle.vocabulary)

    def popular(self, k: int, exclude: Collection[str] = ()) -> RankedList:
        """Return the K items with most clicks in training, score = share of those clicks; ties by catalogue id."""
        barred = frozenset(exclude)
        first = self._by_popularity[: k + len(barred)]
        names = map(self.bundle.vocabulary.items.__getitem__, (first - 1).tolist())
        shares = zip(names, (self.bundle.popularity[first - 1] / self._clicks).tolist(), strict=True)
        return RankedList([(name, share) for name, share in shares if name not in barred][:k], True)

    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> list[RankedList]:
        """Return one list of up to K shop ids a session, in the order given."""
        barred: Sequence[Collection[str]] = exclude if exclude is not None else [()] * len(sessions)
        return [self.popular(k, out) for _, out in zip(sessions, barred, strict=True)]
