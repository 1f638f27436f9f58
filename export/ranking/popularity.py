"""Lists of popular items: what is answered for a session without a known item, and where no model can be had."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.files import leave_in_file

__all__ = ["PopularityRanker", "RankedList"]

_SOME = 4_096  # places that lists and what they exclude rarely exceed


class RankedList(NamedTuple):
    """One list for one session."""

    items: list[tuple[str, float]]  # shop id and score, best first; a popularity list has shares of clicks as scores
    fallback: bool  # True: popularity, as no item of the session is known
    interests: tuple[int, ...] = ()  # of a model of several: which of them each item came from, from 0; -1: none


class PopularityRanker:
    """Answers every session with a bundle's most popular items; its graph is neither opened nor needed."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._first = _most_popular(bundle.popularity, _SOME)
        self._clicks = max(1, int(bundle.popularity.sum()))
        leave_in_file(bundle.popularity)

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
        first = self._most_popular(k + len(barred))
        names = map(self.bundle.vocabulary.items.__getitem__, (first - 1).tolist())
        shares = zip(names, (self.bundle.popularity[first - 1] / self._clicks).tolist(), strict=True)
        return RankedList([(name, share) for name, share in shares if name not in barred][:k], True)

    def _most_popular(self, count: int) -> NDArray[np.int32]:
        if count > len(self._first) < len(self.bundle.popularity):  # kept from now on: who asked for so many asks again
            self._first = _most_popular(self.bundle.popularity, 2 * count)
        return self._first[:count]

    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> list[RankedList]:
        """Return one list of up to K shop ids a session, in the order given."""
        barred: Sequence[Collection[str]] = exclude if exclude is not None else [()] * len(sessions)
        return [self.popular(k, out) for _, out in zip(sessions, barred, strict=True)]


def _most_popular(clicks: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return the catalogue ids of the `count` items with most clicks (V,), all where there are no more; ties by id."""
    if count < len(clicks):
        least = np.sort(clicks)[len(clicks) - count]  # faster than a partition, which many equal counts hold up
        among = np.flatnonzero(clicks >= least)
    else:
        among = np.arange(len(clicks))
    order = among[np.argsort(-clicks[among], kind="stable")]
    return (order[:count] + 1).astype(np.int32)
