"""Who is ranked by what, while experiments run: a batch's sessions in groups, each ranked by its model in one run.

A session belongs to the first experiment, by age, that has a variant for it; that is a pure function of the experiments
and the session (`Experiment.variant_of`), so it keeps its variant over batches, workers and crashes. Sessions of
several variants with one model are ranked together, and with those that take no part where that model is live.

Whoever a variant can't rank is ranked by the live model, in the same batch, and its list says nothing of an experiment:
a variant that is not served or fails costs its shoppers nothing, and is counted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from export.experiments.experiment import INTERLEAVED, Experiment
from export.experiments.interleave import coins, team_draft
from stream.experiments.variant import ServedVariant
from stream.ops.metrics import Metrics
from stream.partition.session import SessionState
from stream.path.answers import Answer, ItemRanker, Listed, ServedBy
from stream.path.commit import RankStates

__all__ = ["Plan", "RunningExperiment"]


@dataclass(frozen=True, slots=True)
class RunningExperiment:
    """One that is in force, and its variants in the order announced."""

    experiment: Experiment
    variants: tuple[ServedVariant, ...]
    _routes: dict[str, tuple[ServedVariant, ...]] = field(init=False)  # by the name of the hash's variant

    def __post_init__(self) -> None:
        routes: dict[str, tuple[ServedVariant, ...]] = {one.name: (one,) for one in self.variants}
        if self.experiment.interleave:  # with one of them stopped there is nothing to compare
            both = () if any(one.variant.stopped for one in self.variants) else self.variants
            routes = dict.fromkeys(routes, both)
        object.__setattr__(self, "_routes", routes)

    def route(self, session_id: str) -> tuple[ServedVariant, ...]:
        """The variant of a session, or both of an interleaved list; none where it takes no part."""
        chosen = self.experiment.variant_of(session_id)
        return () if chosen is None else self._routes[chosen.name]


_Chosen = tuple[tuple[ServedVariant, ItemRanker], ...]


class Plan:
    """What is in force at one time; replaced as a whole. For the inference thread."""

    def __init__(self, running: Sequence[RunningExperiment], *, k: int, metrics: Metrics) -> None:
        """`running`: the oldest first. `k`: items in a list."""
        self._running, self._k, self._metrics = tuple(running), k, metrics

    def route(self, session_id: str) -> tuple[ServedVariant, ...]:
        """What a session belongs to: a variant, two that are interleaved, or none."""
        for one in self._running:
            if route := one.route(session_id):
                return route
        return ()

    def answers(
        self, sessions: Sequence[tuple[str, SessionState]], live: ItemRanker | None, rank: RankStates
    ) -> list[Answer]:
        """A list for each session, in order; as `rank`, which never raises."""
        states = [state for _, state in sessions]
        chosen = [self._choose(session_id, live) for session_id, _ in sessions]
        runs: dict[int, _Run] = {id(live): _Run(live)}
        for place, pairs in enumerate(chosen):
            if not pairs:
                runs[id(live)].add(place)
            for variant, ranker in pairs:
                runs.setdefault(id(ranker), _Run(ranker)).add(place, variant)
        of_live = runs.pop(id(live))
        for run in runs.values():
            for place in self._rank(run, states, rank):
                chosen[place] = ()
                of_live.add(place)
        self._rank(of_live, states, rank)
        runs[id(live)] = of_live
        return [
            self._answer(sessions[place], pairs, [runs[id(ranker)].lists[place] for _, ranker in pairs])
            if pairs
            else of_live.lists[place]
            for place, pairs in enumerate(chosen)
        ]

    def _choose(self, session_id: str, live: ItemRanker | None) -> _Chosen:
        """The variants of a session, each with its ranker; none where the live model answers."""
        route = self.route(session_id)
        pairs = [(variant, ranker) for variant in route if (ranker := variant.ranker(live)) is not None]
        if len(pairs) == len(route):
            return tuple(pairs)
        for variant in route:
            if variant.ranker(live) is None:
                self._metrics.variant_unserved.labels(variant.experiment, variant.name).inc()
        return ()

    def _rank(self, run: "_Run", states: Sequence[SessionState], rank: RankStates) -> list[int]:
        """Fill the lists of a run; the places that got none."""
        if not run.places:
            return []
        begun = time.perf_counter()
        run.lists = dict(zip(run.places, rank([states[place] for place in run.places], run.ranker), strict=True))
        seconds = time.perf_counter() - begun
        failed = {place: answer.error for place, answer in run.lists.items() if answer.error}
        for variant, places in run.variants.items():
            self._metrics.variant_seconds.labels(variant.experiment, variant.name).observe(seconds)
            if not failed:
                variant.pace.add(len(run.places), seconds)
            mine = [failed[place] for place in places if place in failed]
            self._metrics.variant_errors.labels(variant.experiment, variant.name).inc(len(mine))
            if variant.variant.version:
                variant.ran(len(places), len(mine), mine[-1] if mine else "")
        return list(failed)

    def _answer(self, session: tuple[str, SessionState], chosen: _Chosen, lists: Sequence[Answer]) -> Answer:
        """The list of one or two variants, with what made it; an answer without a list as it is."""
        if broken := next((one for one in lists if one.error), None):
            return broken
        variant, ranker = chosen[0]
        if len(chosen) == 1:
            by = ServedBy(variant.experiment, variant.name, ranker.version)
            return lists[0]._replace(by=by)
        session_id, state = session
        names = [one.name for one, _ in chosen]
        flipped = coins(variant.experiment, session_id, state.offset)
        drafted = tuple(
            _drafted(mine, theirs, names, flipped, mine.k or self._k)
            for mine, theirs in zip(lists[0].lists, lists[1].lists, strict=True)
        )
        model = "+".join(one.version for _, one in chosen)
        by = ServedBy(variant.experiment, INTERLEAVED, model, drafted[0].teams)
        return Answer.of(drafted)._replace(by=by)


def _drafted(mine: Listed, theirs: Listed, names: Sequence[str], flipped: int, k: int) -> Listed:
    """One list of two, of one placement, of up to `k` items."""
    items, teams = team_draft(mine.items, theirs.items, k, flipped)
    return Listed(mine.placement, items, mine.fallback or theirs.fallback, tuple(names[team] for team in teams), k)


@dataclass(slots=True)
class _Run:
    """What one model ranks of a batch."""

    ranker: ItemRanker | None
    places: dict[int, None] = field(default_factory=dict)  # of the sessions, each once
    variants: dict[ServedVariant, list[int]] = field(default_factory=dict)  # with the places of each
    lists: dict[int, Answer] = field(default_factory=dict)  # by place

    def add(self, place: int, variant: ServedVariant | None = None) -> None:
        self.places[place] = None
        if variant is not None:
            self.variants.setdefault(variant, []).append(place)
