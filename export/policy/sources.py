"""Where a list's candidates come from: the model, or, for a session that it knows nothing of, popularity.

B sessions, D places, C candidates, V catalogue, ids 1..V.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.policy.catalogue import Fresh
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
        clicks = np.pad(np.asarray(bundle.popularity, dtype=np.float64), (0, newer))
        self.depth = len(clicks)
        self._order = (np.argsort(-clicks, kind="stable") + 1).astype(np.int32)  # (V,)
        logarithms = np.log(np.maximum(clicks, 0.5) / max(1.0, clicks.sum()))  # unclicked items stand last
        self._scores = np.concatenate([[-np.inf], logarithms]).astype(np.float32)  # (V + 1,)
        self._clicked = np.concatenate([[False], clicks > 0])

    def rank(self, rows: NDArray[np.int64], depth: int, also: NDArray[np.int32]) -> Ranking:
        """Return the same for each row."""
        first = self._order[:depth]
        shape = len(rows), len(first)
        every = np.broadcast_to(first, shape), np.broadcast_to(self._scores[first], shape)
        return Ranking(every[0], every[1], np.broadcast_to(self._scores[also], (len(rows), len(also))))

    def shown(self, ids: Sequence[int], scores: Sequence[float]) -> Sequence[float]:
        """Return shares of clicks, times what boosts make of them; 0 for an item that nobody clicked."""
        return [float(np.exp(score)) if self._clicked[item] else 0.0 for item, score in zip(ids, scores, strict=True)]
