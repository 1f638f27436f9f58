"""The graph that is exported: ids of sessions in, the best items and their scores out.

Legend: B sessions, L positions, E excluded items, C candidates, A items moved away from, X items newer than the model
or changed since, K list length, I interests, V catalogue, H hidden width of all encoders together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.bundle.vocabulary import PAD
from export.errors import ConfigError
from export.graph.after import Afterwards, Changes
from export.graph.candidates import moved_away, scores_of
from export.graph.int8 import Int8TopK
from export.graph.interests import Int8InterestTopK, InterestTopK, all_moved_away, best_scores_of
from export.graph.topk import TopK
from model.nets.encoder import Encoder
from model.nets.plain import plain_all
from model.nets.rows import WithFresh

__all__ = ["ServingModel"]

_ALWAYS = ("ids", "exclude", "k", "also", "away", "push")  # inputs of every graph


class ServingModel(nn.Module):
    """Trained encoders with the ranking of the whole catalogue behind them; always in eval mode.

    Several encoders rank by the mean of their scores, which orders items as the product of their softmaxes does, and is
    as sure of itself as each of them is: what a layer mixes in weighs as much. That mean is one product of what they
    say, side by side, with their item tables side by side: as fast to rank as one encoder of that width. An encoder of
    several interests ranks alone, by the best of them.
    """

    def __init__(
        self,
        encoders: Sequence[Encoder],
        *,
        margin: int | None = None,
        fresh: bool = False,
        after: Afterwards | None = None,
    ) -> None:
        """Rank exactly, or with a margin as `Int8TopK` does.

        fresh: the graph takes vectors of items newer than the model or changed since, and gives those that it has.
        after: what changes in the scores of an encoder of one vector, or several of them together.
        """
        super().__init__()
        self.encoders = encoders = plain_all(encoders)
        self.members = nn.ModuleList(encoders)  # has their parameters exported
        self.window = encoders[0].config.window
        tables = [encoder.table for encoder in encoders]  # (V + 1, H_i) each
        self.widths = [table.shape[1] for table in tables]
        self.hidden = sum(self.widths)
        self.several = encoders[0].interests is not None
        config = encoders[0].config
        takes = {"kinds": config.typed, "preference": config.preference, "fresh": fresh, "rows": fresh}
        self.inputs = (*_ALWAYS, *(name for name, taken in takes.items() if taken))
        self.marks = () if self.several else ("vectors",)
        of_interests = ("top_interests",) if self.several else ()
        of_fresh = ("fresh_scores", "row_vectors") if fresh else ()
        self.outputs = ("top_ids", "top_scores", "also_scores", *of_interests, *of_fresh)
        if self.several:
            exact = margin is None
            self.head: nn.Module = InterestTopK(tables[0]) if exact else Int8InterestTopK(tables[0], margin or 0)
        else:
            self.head = _exact(tables) if margin is None else Int8TopK(tables, margin)
        if after is not None and self.several:
            raise ConfigError("a session of several vectors has no layer behind its scores")
        self.after = after
        self.eval()

    def forward(
        self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor, *others: Tensor
    ) -> tuple[Tensor, ...]:
        """Return top_ids int32 and top_scores float32, (B, K) each, best first, and also_scores float32 (B, C).

        ids int32 (B, L <= window), right-padded with 0, at least one click each; exclude int32 (B, E >= 1), 0-padded;
        k int64 () with 1 <= K <= V; also int32 (C,) and away int32 (B, A), 0-padded; push float32 (); others,
        those that are taken: kinds int32 (B, L), preference float32 (B,), fresh float32 (X, H) and rows int32 (R,).
        With several interests top_interests int32 (B, K) follows; with `fresh`, fresh_scores float32 (B, X) and
        row_vectors float32 (R, H). Last, while it is exported, the vectors, where they are marked.
        """
        told = dict(zip(self.inputs[len(_ALWAYS) :], others, strict=True))
        fresh, wanted = told.get("fresh"), told.pop("rows", None)
        vectors, tables = self.vectors(ids, away, push, **told), self._tables(fresh)
        scored = best_scores_of if self.several else scores_of
        changes = None if self.after is None else self.after(ids, 0 if fresh is None else fresh.shape[0])
        if changes is None:
            top_ids, top_scores, *which = self.head(vectors, exclude, k)
            also_scores = scored(vectors, _rows(tables, also), also)
        else:
            (top_ids, top_scores, norm), which = self._changed(vectors, exclude, k, changes), []
            also_scores = changes.of(also, scored(vectors, _rows(tables, also), also), norm)
        found = (top_ids, top_scores, also_scores, *which)
        marked = (vectors,) if self.marks and torch.compiler.is_exporting() else ()
        if fresh is None or wanted is None:
            return (*found, *marked)
        fresh_scores = vectors @ fresh.T  # (B, X), or (B, I, X)
        fresh_scores = fresh_scores.amax(dim=1) if self.several else fresh_scores
        fresh_scores = fresh_scores if changes is None else changes.fresh(fresh_scores)
        return (*found, fresh_scores, _rows(self._tables(), wanted), *marked)

    def vectors(self, ids: Tensor, away: Tensor, push: Tensor, fresh: Tensor | None = None, **told: Tensor) -> Tensor:
        """Return what is multiplied with the items, (B, H), or (B, I, H) of I interests; arguments as `forward`'s."""
        tables = self._tables(fresh)
        moved = all_moved_away if self.several else moved_away
        return moved(self._vectors(ids, tables, **told), _rows(tables, away), away, push)

    def lists(self, ids: Tensor, exclude: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lists alone, of sessions that dislike nothing."""
        vectors = self._vectors(ids, self._tables())
        if self.after is None:
            top_ids, top_scores = self.head(vectors, exclude, k)[:2]
        else:
            top_ids, top_scores, _ = self._changed(vectors, exclude, k, self.after(ids))
        return top_ids, top_scores

    def _changed(self, vectors: Tensor, exclude: Tensor, k: Tensor, changes: Changes) -> tuple[Tensor, Tensor, Tensor]:
        """Return the lists of changed scores, and the norm (B, 1)."""
        assert isinstance(self.head, TopK | Int8TopK), "several vectors have no layer"
        return self.head.after(vectors, exclude, k, changes)

    def scores(self, ids: Tensor) -> Tensor:
        """Return the scores (B, V) of the encoders together, before anything changes in them."""
        vectors = self._vectors(ids, self._tables())
        catalogue = torch.cat([encoder.table[PAD + 1 :] for encoder in self.encoders], dim=1)  # (V, H)
        return vectors @ catalogue.T

    def _tables(self, fresh: Tensor | None = None) -> list[Tensor | WithFresh]:
        tables: list[Tensor | WithFresh] = [encoder.table for encoder in self.encoders]
        if fresh is None:
            return tables
        alone = len(self.encoders) == 1  # one part would be copied
        parts = [fresh] if alone else torch.split(fresh, self.widths, dim=1)
        return [WithFresh(encoder.table, part) for encoder, part in zip(self.encoders, parts, strict=True)]

    def _vectors(
        self,
        ids: Tensor,
        tables: Sequence[Tensor | WithFresh],
        kinds: Tensor | None = None,
        preference: Tensor | None = None,
    ) -> Tensor:
        """Return (B, H), or (B, I, H) of I interests; several encoders' such that scores are their mean."""
        pairs = zip(self.encoders, tables, strict=True)
        vectors = [encoder.newest(ids, table, kinds=kinds, preference=preference) for encoder, table in pairs]
        return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1) / len(vectors)


def _rows(tables: Sequence[Tensor | WithFresh], ids: Tensor) -> Tensor:
    """Return the item vectors (..., H) of ids (...), as they score."""
    parts = [table.rows(ids) if isinstance(table, WithFresh) else functional.embedding(ids, table) for table in tables]
    return torch.cat(parts, dim=-1)


def _exact(tables: Sequence[Tensor]) -> TopK:
    return TopK(tables[0] if len(tables) == 1 else torch.cat(list(tables), dim=1).detach())
