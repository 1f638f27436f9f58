"""Lists of popular items: what is answered for a session without a known item, and where no model can be had."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.files import parts_of

__all__ = ["MostClicked", "PopularityRanker", "RankedList"]

_SOME = 4_096  # places that lists and what they exclude rarely exceed
_DEEP = 8  # who asks for more than one item in so many has all of them sorted at once


class RankedList(NamedTuple):
    """One list for one session."""

    items: list[tuple[str, float]]  # shop id and score, best first; a popularity list has shares of clicks as scores
    fallback: bool  # True: popularity, as no item of the session is known
    interests: tuple[int, ...] = ()  # of a model of several: which of them each item came from, from 0; -1: none


class MostClicked:
    """The order of a bundle's items by their clicks in training, of which no more is kept than lists ask for: of
    millions it would be larger than what models are made of."""

    def __init__(self, clicks: NDArray[np.int64]) -> None:
        """clicks: (V,) of catalogue ids 1..V."""
        self.clicks = clicks
        self._first = _most_clicked(clicks, _SOME)
        self.all_clicks = max(1, sum(int(part.sum()) for part in parts_of(clicks)))

    def first(self, count: int) -> NDArray[np.int32]:
        """Return the catalogue ids of the `count` items with most clicks, all where there are no more; ties by id."""
        if count > len(self._first) < len(self.clicks):  # kept from now on: who asked for so many asks again
            self._first = _most_clicked(self.clicks, 2 * count)
        return self._first[:count]


class PopularityRanker:
    """Answers every session with a bundle's most popular items; its graph is neither opened nor needed."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._most = MostClicked(bundle.popularity)

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
        first = self._most.first(k + len(barred))
        names = map(self.bundle.vocabulary.items.__getitem__, (first - 1).tolist())
        shares = zip(names, (self._most.clicks[first - 1] / self._most.all_clicks).tolist(), strict=True)
        return RankedList([(name, share) for name, share in shares if name not in barred][:k], True)

    def rank_items(
        self, sessions: Sequence[Sequence[str]], k: int, exclude: Sequence[Collection[str]] | None = None
    ) -> list[RankedList]:
        """Return one list of up to K shop ids a session, in the order given."""
        barred: Sequence[Collection[str]] = exclude if exclude is not None else [()] * len(sessions)
        return [self.popular(k, out) for _, out in zip(sessions, barred, strict=True)]


def _most_clicked(clicks: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return the catalogue ids of the `count` items with most clicks (V,), all where there are no more; ties by id."""
    ids, most = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)  # the best so far and their clicks, in order
    begin = 1
    for part in parts_of(clicks) if _DEEP * count < len(clicks) else (clicks,):
        least = most[-1] if len(most) == count else -1
        more = np.flatnonzero(part > least)  # of equal ones the earlier stays
        ids, most = np.concatenate([ids, begin + more]), np.concatenate([most, part[more]])
        order = np.argsort(-most, kind="stable")[:count]
        ids, most = ids[order], most[order]
        begin += len(part)
    return ids.astype(np.int32)
