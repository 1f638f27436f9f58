"""Where a list's candidates come from: the model, or, for a session that it knows nothing of, popularity.

B sessions, D places, C candidates, V catalogue, ids 1..V.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.vocabulary import PAD
from export.policy.catalogue import Fresh
from export.ranking.popularity import MostClicked
from export.ranking.ragged import Ragged
from export.ranking.ranker import Ranker

__all__ = ["ByModel", "ByPopularity", "Ranking", "Source"]

_NONE = np.empty(0, dtype=np.int32)


class Ranking(NamedTuple):
    """The best of some sessions, and the scores of candidates."""

    ids: NDArray[np.int32]  # (B, D)
    scores: NDArray[np.float32]  # (B, D)
    also: NDArray[np.float32]  # (B, C)
    interests: NDArray[np.int32] | None = None  # (B, D), of a model of several
    beside: NDArray[np.float32] | None = None  # (B, X) scores of what the source has beside its ranking


class Source(Protocol):
    """What ranks some sessions."""

    fallback: bool  # popularity
    beside: NDArray[np.int32]  # (X,) items that the ranking lacks, or has by what they were

    @property
    def depth(self) -> int:
        """The most places that can be asked for: V, or fewer with a graph of an earlier release."""
        ...

    @property
    def takes_candidates(self) -> bool:
        """Whether the scores of given items can be had."""
        ...

    def rank(self, rows: NDArray[np.int64], depth: int, also: NDArray[np.int32]) -> Ranking:
        """Return the best `depth` items of some of the sessions, and the scores of candidates (C,)."""
        ...

    def shown(self, ids: Sequence[int], scores: Sequence[float]) -> Sequence[float]:
        """Return the scores as a list carries them."""
        ...


class ByModel:
    """Sessions (B, of known items) with what each dislikes."""

    fallback = False

    def __init__(
        self,
        ranker: Ranker,
        sessions: Ragged,
        away: Ragged,
        push: float,
        kinds: Ragged | None = None,
        fresh: Fresh | None = None,
    ) -> None:
        """kinds: code of each event, where the model is `typed`. fresh: vectors that it lacks."""
        self._ranker, self._push, self._kinds, self._fresh = ranker, push, kinds, fresh
        self._sessions, self._away = self._as_the_graph_has(sessions), self._as_the_graph_has(away)
        self.beside = _NONE if fresh is None else fresh.ids
        self.depth = ranker.depth
        self.takes_candidates = "also" in ranker.takes

    def rank(self, rows: NDArray[np.int64], depth: int, also: NDArray[np.int32]) -> Ranking:
        """Run the graph."""
        away = self._away.rows(rows)
        kinds = None if self._kinds is None else self._kinds.rows(rows)
        sessions = self._sessions.rows(rows)
        vectors = None if self._fresh is None else self._fresh.vectors
        also = also if self._fresh is None else self._fresh.ports[also]
        deep = self._ranker.rank_deep(
            sessions, depth, also=also, away=away, push=self._push, kinds=kinds, fresh=vectors
        )
        return Ranking(deep.ids, deep.scores, deep.also, deep.interests, deep.fresh)

    def shown(self, ids: Sequence[int], scores: Sequence[float]) -> Sequence[float]:
        """Return them as they are: logits, boosts included."""
        return scores

    def _as_the_graph_has(self, rows: Ragged) -> Ragged:
        return rows if self._fresh is None else Ragged(self._fresh.ports[rows.values], rows.lengths)


class ByPopularity:
    """Everybody alike; scores are logarithms of shares of clicks, so that boosts mean what they do to a model's."""

    fallback = True
    takes_candidates = True
    beside = _NONE  # it has them all, newer ones at the end

    def __init__(self, bundle: Bundle, newer: int = 0) -> None:
        """newer: items behind the model's, which nobody has clicked."""
        self._most, self._size = MostClicked(bundle.popularity), len(bundle.popularity)
        self.depth = self._size + newer

    def rank(self, rows: NDArray[np.int64], depth: int, also: NDArray[np.int32]) -> Ranking:
        """Return the same for each row."""
        first = self._first(min(depth, self.depth))
        shape = len(rows), len(first)
        every = np.broadcast_to(first, shape), np.broadcast_to(self._scores(first), shape)
        return Ranking(every[0], every[1], np.broadcast_to(self._scores(also), (len(rows), len(also))))

    def shown(self, ids: Sequence[int], scores: Sequence[float]) -> Sequence[float]:
        """Return shares of clicks, times what boosts make of them; 0 for an item that nobody clicked."""
        clicked = self._clicks(np.array(ids, dtype=np.int64)) > 0
        return [float(np.exp(score)) if some else 0.0 for some, score in zip(clicked, scores, strict=True)]

    def _first(self, count: int) -> NDArray[np.int32]:
        """Return the ids of the best; newer ones follow the model's."""
        newer = np.arange(self._size + 1, count + 1, dtype=np.int32)
        return np.concatenate([self._most.first(min(count, self._size)), newer])

    def _clicks(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the clicks of items by their ids; 0 of newer ones, and of padding."""
        known = (ids > PAD) & (ids <= self._size)
        return np.where(known, self._most.clicks[np.where(known, ids, 1) - 1], 0)

    def _scores(self, ids: NDArray[np.integer]) -> NDArray[np.float32]:
        clicks = np.maximum(self._clicks(ids), 0.5)  # unclicked items stand last
        return np.where(ids == PAD, -np.inf, np.log(clicks / self._most.all_clicks)).astype(np.float32)
