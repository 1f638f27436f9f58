"""Who is ahead: judged clicks and lists counted by variant, and by version where there is no experiment.

A session's clicks depend on each other, so sums are over sessions (export.experiments.tally). A session counts from its
first judged click on, so that the board is of this moment; one that was shown several variants of an experiment (it was
stopped and started anew) says nothing of either, and what it had added is taken back. All sums are of whole numbers, so
that they are the same in any order.

A trainer publishes versions for ever: those that were not seen for longest are counted together, as `older`.
"""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.experiments.preference import Preference
from export.experiments.tally import Tally
from stream.messages.contract import Recommendation
from stream.scoreboard.join import Judged
from stream.scoreboard.visit import Part, Shown, Visit

__all__ = ["OLDER", "Board", "Latency", "Row", "RowState"]

OLDER = "older"  # what versions are called that are counted apart no more

_STEP = math.log(1.05)  # between two edges of the latencies
_BINS = 360  # up to 11 hours


class Latency(msgspec.Struct, array_like=True):
    """How long lists took from their clicks, in bins of 5 %."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * _BINS)

    def add(self, ms: int) -> None:
        """One list more."""
        self.counts[min(int(math.log(ms + 1) / _STEP), _BINS - 1)] += 1

    def since(self, before: "Latency | None") -> "Latency":
        """What came since then."""
        if before is None:
            return Latency(list(self.counts))
        return Latency([now - then for now, then in zip(self.counts, before.counts, strict=True)])

    def quantile(self, share: float) -> float | None:
        """Ms within which this share of the lists came, 5 % too high at most; None without any."""
        total, reached = sum(self.counts), 0
        for place, count in enumerate(self.counts):
            reached += count
            if count and reached >= share * total:
                return math.exp((place + 1) * _STEP) - 1
        return None


class RowState(msgspec.Struct):
    """What is counted of a variant, or of a version, as the state file has it."""

    experiment: str  # empty: the live model
    name: str  # of the variant, or the version
    sessions: int = 0  # with a judged click
    clicks: int = 0  # judged
    hits: int = 0
    nn: int = 0  # sums over sessions, as in Tally
    hn: int = 0
    hh: int = 0
    ranks: dict[int, int] = msgspec.field(default_factory=dict)  # place in the list -> hits
    shown: int = 0  # sessions that had a list of it
    lists: int = 0
    fallbacks: int = 0  # of the lists: those of popular items, or empty
    latency: Latency = msgspec.field(default_factory=Latency)
    teams: list[str] = msgspec.field(default_factory=list)  # of interleaved lists
    prefer: dict[int, int] = msgspec.field(default_factory=dict)  # team -> sessions that clicked more of its items
    newest_ms: int = 0  # when its newest list was published
    items: bytes = b""  # that stood in its lists, a bit each by their numbers


class Row:
    """One of them at work."""

    def __init__(self, state: RowState) -> None:
        self.state = state
        self._seen: NDArray[np.bool_] = np.unpackbits(np.frombuffer(state.items, np.uint8)).astype(np.bool_)

    @property
    def tally(self) -> Tally:
        """Its sums."""
        own = self.state
        reciprocal = math.fsum(hits / rank for rank, hits in own.ranks.items())
        return Tally(own.sessions, own.clicks, own.hits, reciprocal, own.nn, own.hn, own.hh)

    @property
    def items(self) -> int:
        """Distinct items that stood in its lists."""
        return int(np.count_nonzero(self._seen))

    @property
    def preference(self) -> tuple[tuple[str, ...], Preference]:
        """Of interleaved lists: the two teams by name, and the sessions that prefer either."""
        by_name = {name: self.state.prefer.get(place, 0) for place, name in enumerate(self.state.teams)}
        names = tuple(sorted(by_name))
        first, second = ([*(by_name[name] for name in names), 0, 0])[:2]
        return names, Preference(first, second)

    def saw(self, numbers: tuple[int, ...]) -> None:
        """These items stood in a list."""
        if not numbers:
            return
        highest = max(numbers)
        if highest >= len(self._seen):
            self._seen = np.concatenate([self._seen, np.zeros(max(highest + 1, len(self._seen)), np.bool_)])
        self._seen[list(numbers)] = True

    def absorb(self, other: "Row") -> None:
        """Count what another row has as this one's."""
        own, more = self.state, other.state
        for name in ("sessions", "clicks", "hits", "nn", "hn", "hh", "shown", "lists", "fallbacks"):
            setattr(own, name, getattr(own, name) + getattr(more, name))
        for rank, hits in more.ranks.items():
            own.ranks[rank] = own.ranks.get(rank, 0) + hits
        own.latency = Latency([a + b for a, b in zip(own.latency.counts, more.latency.counts, strict=True)])
        own.newest_ms = max(own.newest_ms, more.newest_ms)
        self.saw(tuple(np.flatnonzero(other._seen).tolist()))

    def stored(self) -> RowState:
        """For the state file."""
        return msgspec.structs.replace(self.state, items=np.packbits(self._seen).tobytes().rstrip(b"\0"))

    def replace(self, before: Part, after: Part) -> None:
        """Put a session's new sums into the place of its old ones."""
        own = self.state
        for part, sign in ((before, -1), (after, 1)):
            n, h = part.clicks, part.hits
            own.sessions += sign * (n > 0)
            own.clicks += sign * n
            own.hits += sign * h
            own.nn += sign * n * n
            own.hn += sign * h * n
            own.hh += sign * h * h
            for rank, hits in part.ranks.items():
                own.ranks[rank] = own.ranks.get(rank, 0) + sign * hits
            winner = _winner(part.votes)
            if winner is not None:
                own.prefer[winner] = own.prefer.get(winner, 0) + sign


class Board:
    """Rows by (experiment, variant), and by version for the lists of no experiment."""

    def __init__(self, max_models: int = 200) -> None:
        self._max_models = max_models
        self.rows: list[Row] = []  # by their numbers; those of versions counted together are one and the same
        self.mixed: dict[str, int] = {}  # experiment -> sessions left out, as they saw several of its variants
        self._places: dict[tuple[str, str], int] = {}

    @property
    def variants(self) -> dict[tuple[str, str], Row]:
        """By experiment and variant."""
        return {key: self.rows[place] for key, place in self._places.items() if key[0]}

    @property
    def models(self) -> dict[str, Row]:
        """By version, where no experiment was; empty: popularity, for want of a model."""
        return {name: self.rows[place] for (experiment, name), place in self._places.items() if not experiment}

    def total(self) -> Tally:
        """All rows together; a session that was in several counts in each."""
        return Tally.total([self.rows[place].tally for place in self._places.values()])

    def stored(self) -> list[RowState | None]:
        """The rows by their numbers, for the state file; None: counted with the older ones."""
        kept = set(self._places.values())
        return [row.stored() if place in kept else None for place, row in enumerate(self.rows)]

    def restore(self, rows: list[RowState | None], mixed: dict[str, int]) -> None:
        """Go on with what was stored."""
        known = {place: Row(state) for place, state in enumerate(rows) if state is not None}
        self._places = {(row.state.experiment, row.state.name): place for place, row in known.items()}
        older = self._places.get(("", OLDER), -1)
        self.rows = [known[place if place in known else older] for place in range(len(rows))]
        self.mixed = mixed

    def row_of(self, found: Recommendation) -> int:
        """The number of the row that a list belongs to."""
        key = (found.experiment, found.variant if found.experiment else found.model)
        place = self._places.get(key)
        if place is None:
            place = self._new(*key)
            if not found.experiment:
                self._count_oldest_together()
        return place

    def teams_of(self, place: int, found: Recommendation) -> tuple[int, ...]:
        """The numbers of the teams that an interleaved list's items came from."""
        names = self.rows[place].state.teams
        for name in found.teams:
            if name not in names:
                names.append(name)
        return tuple([names.index(name) for name in found.teams])

    def listed(self, visit: Visit, shown: Shown, latency_ms: int | None) -> None:
        """A list that counts, in its session."""
        row = self.rows[shown.row]
        row.state.lists += 1
        row.state.newest_ms = max(row.state.newest_ms, shown.published_ms)
        row.state.fallbacks += shown.fallback
        row.saw(shown.items)
        if latency_ms is not None:
            row.state.latency.add(latency_ms)
        experiment = row.state.experiment
        if shown.row in visit.shown or experiment in visit.mixed:
            return
        others = [place for place in visit.shown if experiment and self.rows[place].state.experiment == experiment]
        if others:
            self._leave_out(visit, experiment, others)
        else:
            visit.shown.append(shown.row)
            row.state.shown += 1

    def take(self, judged: Iterable[Judged]) -> None:
        """Count judged clicks."""
        for one in judged:
            shown, visit = one.shown, one.visit
            row = self.rows[shown.row]
            if row.state.experiment in visit.mixed:
                continue
            before = visit.parts.get(shown.row) or Part()
            after = Part(before.clicks + 1, before.hits + (one.rank > 0), dict(before.ranks), dict(before.votes))
            if one.rank:
                after.ranks[one.rank] = after.ranks.get(one.rank, 0) + 1
                if shown.teams:
                    team = shown.teams[one.rank - 1]
                    after.votes[team] = after.votes.get(team, 0) + 1
            row.replace(before, after)
            visit.parts[shown.row] = after

    def _new(self, experiment: str, name: str) -> int:
        place = self._places[experiment, name] = len(self.rows)
        self.rows.append(Row(RowState(experiment, name)))
        return place

    def _count_oldest_together(self) -> None:
        """Sessions that saw such a version go on adding to its row by its number: it is that of all older ones then."""
        models = {name: row for name, row in self.models.items() if name != OLDER}
        if len(models) <= self._max_models:
            return
        newest = max(row_place for (experiment, _), row_place in self._places.items() if not experiment)
        name = min(
            (row.state.newest_ms, place, name)
            for name, row in models.items()
            if (place := self._places["", name]) != newest
        )[2]
        if ("", OLDER) not in self._places:
            self._new("", OLDER)
        older = self.rows[self._places["", OLDER]]
        place = self._places.pop(("", name))
        older.absorb(self.rows[place])
        self.rows[place] = older

    def _leave_out(self, visit: Visit, experiment: str, places: list[int]) -> None:
        visit.mixed.append(experiment)
        self.mixed[experiment] = self.mixed.get(experiment, 0) + 1
        for place in places:
            visit.shown.remove(place)
            self.rows[place].state.shown -= 1
            self.rows[place].replace(visit.parts.pop(place, Part()), Part())

    def facts(self) -> dict[str, Any]:
        """All that is counted, for comparisons: by names, not by the order in which they came."""
        found: dict[str, Any] = {"mixed": self.mixed}
        for place in self._places.values():
            row = self.rows[place]
            own = row.state
            preferred = {name: own.prefer.get(place, 0) for place, name in enumerate(own.teams)}
            kept = {name: getattr(own, name) for name in ("shown", "lists", "fallbacks")}
            ranks = {rank: hits for rank, hits in sorted(own.ranks.items()) if hits}
            found[f"{own.experiment}/{own.name}"] = (row.tally, kept, ranks, preferred, row.items, own.latency.counts)
        return found


def _winner(votes: dict[int, int]) -> int | None:
    """The team of whose items a session clicked more; None for as many, and none."""
    most = max(votes.values(), default=0)
    leaders = [team for team, count in votes.items() if count == most]
    return leaders[0] if len(leaders) == 1 else None
