"""The ranker: sessions in, lists out, from a bundle. The worker, the evaluation and the benchmarks all run this one.

B sessions, L positions, E exclusions a session, C candidates, D places of a deep ranking, V catalogue, K asked for.
"""

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.bundle.bundle import Bundle
from export.bundle.vocabulary import PAD, Vocabulary
from export.errors import BundleError, ConfigError
from export.providers import Provider, require_provider
from export.ranking.coded import open_runner
from export.ranking.popularity import PopularityRanker, RankedList
from export.ranking.ragged import Ragged
from export.ranking.runtime import Ran

__all__ = ["Deep", "RankedList", "Ranker", "RankerConfig"]

_Ids = Sequence[int] | NDArray[np.integer]
_ACTIVATIONS = 512  # cells a position takes inside an encoder: its width and what is derived from it


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerConfig:
    """How sessions are ranked."""

    provider: Provider = "cpu"  # never another one silently
    threads: int = 0  # cores one run uses on the CPU; 0: those this process may use
    spin: bool = False  # idle threads busy-wait: a little faster alone, much slower when other work shares the cores
    warm_up: bool = True  # run a few sizes at start, so that the first clicks don't pay for it
    max_padding: int = 512  # positions padded in one run; a run by itself costs more, as it reads all weights
    max_cells: int = 32_000_000  # scores (4 bytes each) one run may hold: bounds memory, not the batch
    preference: float = 0.5  # of orders against clicks, 0 to 1, for a model that is told it; others rank as ever

    def __post_init__(self) -> None:
        """ConfigError for a value that can't be."""
        require_provider(self.provider)
        if self.threads < 0 or self.max_padding < 0 or self.max_cells < 1:
            raise ConfigError("threads and max_padding must not be negative, and max_cells must be positive")
        if not 0.0 <= self.preference <= 1.0:
            raise ConfigError(f"the preference of orders against clicks is in 0..1, not {self.preference}")


class Deep(NamedTuple):
    """More of a ranking than a list holds, for those who choose from it."""

    ids: NDArray[np.int32]  # (B, D) catalogue ids, best first, all of them different; 0 where no item is left
    scores: NDArray[np.float32]  # (B, D)
    also: NDArray[np.float32]  # (B, C) scores of the candidates given
    interests: NDArray[np.int32] | None = None  # (B, D) which each item came from, of a model of several
    fresh: NDArray[np.float32] | None = None  # (B, X) scores of the vectors given


class Ranker:
    """Ranks with one bundle. Its methods may be called from any thread."""

    def __init__(self, bundle: Bundle, config: RankerConfig | None = None) -> None:
        """Load and warm up. BundleError `bad_model` for a graph unlike its manifest; ProviderUnavailable."""
        self.bundle = bundle
        self.config = config or RankerConfig()
        self._runner = open_runner(
            bundle, provider=self.config.provider, threads=self.config.threads, spin=self.config.spin
        )
        self._popularity = PopularityRanker(bundle)
        if self.config.warm_up:
            self._warm_up()

    @property
    def version(self) -> str:
        """The model's version."""
        return self.bundle.manifest.version

    @property
    def window(self) -> int:
        """How many of a session's newest items the model reads."""
        return self.bundle.manifest.window

    @property
    def k_max(self) -> int:
        """The longest list the graph was checked for."""
        return self.bundle.manifest.k_max

    @property
    def vocabulary(self) -> Vocabulary:
        """The shop ids the model knows."""
        return self.bundle.vocabulary

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of the provider that runs the graph."""
        return self._runner.provider

    @property
    def typed(self) -> bool:
        """Whether the model reads what each event is: then sessions hold skips and dislikes too."""
        return "kinds" in self.takes

    def with_preference(self, preference: float) -> "Ranker":
        """Return a ranker with the same graph that prefers otherwise between orders and clicks. ConfigError."""
        other = copy(self)
        other.config = replace(self.config, preference=preference)
        return other

    def rank(
        self,
        sessions: Sequence[_Ids],
        k: int,
        exclude: Sequence[_Ids] | None = None,
        kinds: Sequence[_Ids] | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return catalogue ids int32 (B, K), best first, and their scores float32 (B, K), rows in the order given.

        sessions: catalogue ids, oldest first, each cut to its newest `window`. exclude: catalogue ids a row must not
        return. kinds: the code of each event (export/events.py), for a `typed` model; without, all are clicks. A row
        with fewer than K items left ends in id 0 with score -inf. ValueError for an empty session or an id outside
        1..V; ConfigError unless 1 <= K <= k_max (any K when k_max is the whole catalogue).
        """
        self.check_k(k)
        rows = Ragged.of(sessions)
        barred = Ragged.empty(len(sessions)) if exclude is None else Ragged.of(exclude)
        if len(barred.lengths) != len(sessions):
            raise ValueError(f"{len(sessions)} sessions, but exclusions for {len(barred.lengths)}")
        if not rows.lengths.all():
            raise ValueError("an empty session can't be ranked: answer it with `popular`")
        self._check_ids("session", rows.values)
        self._check_ids("exclusion", barred.values)
        codes = Ragged.of(kinds) if kinds is not None and self.typed else None
        if codes is not None and not np.array_equal(codes.lengths, rows.lengths):
            raise ValueError("kinds and items of a session differ in number")
        ran = self._rank(rows, barred, k, codes)
        return ran.ids, ran.scores

    def rank_items(
        self,
        sessions: Sequence[Sequence[str]],
        k: int,
        exclude: Sequence[Collection[str]] | None = None,
        kinds: Sequence[NDArray[np.int32]] | None = None,
    ) -> list[RankedList]:
        """Return one list of up to K shop ids a session, in the order given.

        sessions: shop ids, oldest first; those the model doesn't know are left out, and a session with none left gets
        the popularity list, as does one that shows no interest by its `kinds`, which a `typed` model reads. exclude:
        shop ids that a session's list must not hold. ConfigError as `rank`.
        """
        self.check_k(k)
        barred: Sequence[Collection[str]] = exclude if exclude is not None else [()] * len(sessions)
        if len(barred) != len(sessions):
            raise ValueError(f"{len(sessions)} sessions, but exclusions for {len(barred)}")
        without, codes = Ragged.look_up(self.vocabulary, barred), None
        if kinds is not None and self.typed:
            rows, codes = Ragged.look_up_events(self.vocabulary, sessions, kinds)
        else:
            rows = Ragged.look_up(self.vocabulary, sessions)
        if rows.lengths.all():
            return self._named(self._rank(rows, without, k, codes))
        known = np.flatnonzero(rows.lengths)
        told = None if codes is None else codes.rows(known)
        ranked = iter(self._named(self._rank(rows.rows(known), without.rows(known), k, told)))
        return [next(ranked) if length else self.popular(k, barred[i]) for i, length in enumerate(rows.lengths)]

    @property
    def takes(self) -> frozenset[str]:
        """The names of the graph's inputs: what can be given beside sessions (`export.bundle.interface.INPUTS`)."""
        return self._runner.takes

    @property
    def depth(self) -> int:
        """The most places `rank_deep` can give: V, or `k_max` with a graph of an earlier release."""
        return len(self.vocabulary) if "k" in self.takes else self.k_max

    def rank_deep(
        self,
        rows: Ragged,
        depth: int,
        *,
        also: NDArray[np.int32] | None = None,
        away: Ragged | None = None,
        push: float = 0.0,
        kinds: Ragged | None = None,
        fresh: NDArray[np.float32] | None = None,
    ) -> Deep:
        """Return the best `depth` items of sessions of known ids, none of them empty, and the scores of others.

        also (C,): candidates; away: what each session dislikes, `push` how far that takes down what is like it. A graph
        of an earlier release takes neither (`takes`): ValueError where it is given candidates; dislikes go unheard.
        kinds: the code of each event, in rows as long, for a `typed` model; without, all are clicks. fresh (X, H):
        vectors that the model lacks, which are V + 1 to V + X wherever ids are given, and whose scores are given.
        """
        rows, kinds = rows.newest(self.window), None if kinds is None else kinds.newest(self.window)
        size, candidates = len(rows.lengths), np.empty(0, dtype=np.int32) if also is None else also
        deep = Deep(
            np.full((size, depth), PAD, dtype=np.int32),
            np.full((size, depth), -np.inf, dtype=np.float32),
            np.empty((size, len(candidates)), dtype=np.float32),
            self._no_interests(size, depth),
            None if fresh is None else np.empty((size, len(fresh)), dtype=np.float32),
        )
        others: dict[str, NDArray[Any]] = {"also": candidates} if len(candidates) else {}
        if fresh is not None:
            others["fresh"] = fresh
        disliking = away is not None and push > 0 and len(away.values) > 0 and "away" in self.takes
        if disliking:
            others["push"] = np.array(push, dtype=np.float32)
        beside = depth + len(candidates) + (0 if fresh is None else len(fresh))
        for bucket in self._buckets(rows.lengths, 0, beside):
            if disliking and away is not None:
                others["away"] = away.rows(bucket).padded()
            ids = rows.rows(bucket).padded()
            told = {**others, **self._told(len(ids), kinds, bucket)}
            ran = self._runner.run(ids, np.full((len(ids), 1), PAD, dtype=np.int32), depth, told)
            deep.ids[bucket], deep.scores[bucket] = ran.ids, ran.scores
            if ran.also is not None and len(candidates):
                deep.also[bucket] = ran.also
            if deep.fresh is not None and ran.fresh is not None:
                deep.fresh[bucket] = ran.fresh
            if deep.interests is not None and ran.interests is not None:
                deep.interests[bucket] = ran.interests
        return deep

    def vectors_of(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors (R, H) by which items of catalogue ids score, for a graph that takes `rows`."""
        one = np.ones((1, 1), dtype=np.int32)
        ran = self._runner.run(one, np.full_like(one, PAD), 1, {"rows": np.array(ids, dtype=np.int32)})
        assert ran.rows is not None, "who asks has looked whether it takes them"
        return ran.rows

    def popular(self, k: int, exclude: Collection[str] = ()) -> RankedList:
        """Return the K items with most clicks in training, score = share of those clicks; ties by catalogue id."""
        return self._popularity.popular(k, exclude)

    def check_k(self, k: int) -> None:
        """ConfigError unless this model can return lists of K."""
        whole_catalogue = self.k_max == len(self.vocabulary)
        if k < 1 or (k > self.k_max and not whole_catalogue):
            raise ConfigError(f"k is {k}; model {self.version} returns lists of 1 to {self.k_max}")

    def _told(self, batch: int, kinds: Ragged | None, rows: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
        """Return what a run is told beside items and exclusions, of some rows or all: kinds and preference."""
        told: dict[str, NDArray[Any]] = {}
        if kinds is not None and self.typed:
            told["kinds"] = (kinds if rows is None else kinds.rows(rows)).padded()
        if "preference" in self.takes:
            told["preference"] = np.full(batch, self.config.preference, dtype=np.float32)
        return told

    def _rank(self, rows: Ragged, barred: Ragged, k: int, kinds: Ragged | None = None) -> Ran:
        """Return what `rank` does for rows of known ids, none of them empty; and the interests, where there are any."""
        rows, width = rows.newest(self.window), min(k, self.k_max)
        kinds = None if kinds is None else kinds.newest(self.window)
        if len(rows.lengths) == 1 and width == k:  # as light traffic comes: nothing to sort
            return self._runner.run(rows.padded(), barred.padded(), k, self._told(1, kinds))
        interests = self._no_interests(len(rows.lengths), k)
        ids = np.full((len(rows.lengths), k), PAD, dtype=np.int32)
        scores = np.full((len(rows.lengths), k), -np.inf, dtype=np.float32)
        for bucket in self._buckets(rows.lengths, int(barred.lengths.max(initial=0))):
            told = self._told(len(bucket), kinds, bucket)
            ran = self._runner.run(rows.rows(bucket).padded(), barred.rows(bucket).padded(), width, told)
            ids[bucket, :width], scores[bucket, :width] = ran.ids, ran.scores
            if interests is not None and ran.interests is not None:
                interests[bucket, :width] = ran.interests
        return Ran(ids, scores, None, interests)

    def _no_interests(self, rows: int, places: int) -> NDArray[np.int32] | None:
        return np.full((rows, places), -1, dtype=np.int32) if self._runner.has_interests else None

    def _named(self, ran: Ran) -> list[RankedList]:
        """Return the rows (B, K) as lists of shop ids; places where no item is left are cut off."""
        ids, scores = ran.ids, ran.scores
        names = map(self.vocabulary.items.__getitem__, (ids.ravel() - 1).tolist())  # padding names the last item
        places = zip(names, scores.ravel().tolist(), strict=True)
        lists = [list(islice(places, ids.shape[1])) for _ in range(len(ids))]
        for short in np.flatnonzero(ids[:, -1] == PAD):
            lists[short] = lists[short][: np.count_nonzero(ids[short])]
        if ran.interests is None:
            return [RankedList(items, False) for items in lists]
        said = ran.interests.tolist()
        return [RankedList(items, False, tuple(of[: len(items)])) for items, of in zip(lists, said, strict=True)]

    def _check_ids(self, what: str, ids: NDArray[np.int32]) -> None:
        if ids.size and not (ids.min() > PAD and ids.max() <= len(self.vocabulary)):
            raise ValueError(f"a {what} holds an id outside 1..{len(self.vocabulary)}")

    def _buckets(self, lengths: NDArray[np.int64], exclusions: int, beside: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of each run: similar lengths together, as many at once as memory allows; `beside`: cells a row
        takes beside its scores."""
        choosing = (self.k_max + exclusions) * exclusions
        cells = max(self._runner.row_cells + beside, _ACTIVATIONS * self.window, choosing)
        most = max(1, self.config.max_cells // cells)
        for bucket in _by_length(lengths, self.config.max_padding):
            for start in range(0, len(bucket), most):
                yield bucket[start : start + most]

    def _warm_up(self) -> None:
        """Run the sizes that differ most; a graph that can't run is refused here, not at the first click."""
        for batch, length, excluded in ((1, 1, 1), (3, self.window, 2), (64, min(4, self.window), 1)):
            ids = np.ones((min(batch, max(1, self.config.max_cells // self._runner.row_cells)), length), dtype=np.int32)
            exclude = np.full((len(ids), excluded), PAD, dtype=np.int32)
            try:
                ran = self._runner.run(ids, exclude, self.k_max)
            except Exception as error:  # ONNX Runtime's own exceptions have no common type
                raise BundleError("bad_model", f"the graph of model {self.version} can't be run: {error}") from error
            if ran.ids.shape != (len(ids), self.k_max) or not np.isfinite(ran.scores).all():
                raise BundleError(
                    "bad_model", f"the graph of model {self.version} does not return lists of finite scores"
                )


def _by_length(lengths: NDArray[np.int64], max_padding: int) -> Iterator[NDArray[np.int64]]:
    """Yield row numbers grouped by similar length, shortest first, each with at most `max_padding` positions padded."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    ends = [*(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(order)]  # where the length changes
    start = end = real = 0  # rows start..end are the group so far, with `real` positions
    for next_end in ends:
        added = next_end - end
        if added == 0:
            return
        longest = int(ordered[end])
        if end > start and (next_end - start) * longest - real - added * longest > max_padding:
            yield order[start:end]
            start, real = end, 0
        end, real = next_end, real + added * longest
    yield order[start:end]
