"""Each click joined with the list that its shopper was looking at: the newest one of the session before it.

    click 3   list (source 3)   click 7   click 8   list (source 8)      click 3 is the first one, clicks 7 and 8 are
                                                                         judged by the list of source 3

A click at offset o waits until a list of its session with a source at or above o has come: then all lists before it
have come too, as lists of a session stand in one partition in the order of their sources. It is judged by the newest
list with a source below o, of its own session, that was published before the click's record. Clicks go into the join
before the lists that answer them (`lanes.py` sees to it); whatever is counted follows from the topics alone, however
they were read.

A session ends after `idle_s` of silence, on the clock of its partition: the greatest record time that was seen in it.
So where it ends depends on the clicks before the next one, and on nothing else.

What becomes of a click, each counted once:

    first        of its session: nothing can have been shown before
    missing      no list before it: its session's earlier clicks were answered together with it, or never
    late         lists before it, all published after it
    passed       a skip or dislike
    judged       the rest; `older` of them by an older list, as the newest was published after the click
    unanswered   no list with a source at or above its own ever came: the worker refused it, or could not rank it
    before       the same, from before the oldest list of the topic
    erased       its session was erased before it was answered
    waiting      for its answer still

Not thread-safe.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import msgspec

from stream.messages.contract import Click, Erase, Recommendation, Source
from stream.messages.record_time import sane_record_time_ms
from stream.scoreboard.config import ScoreboardConfig
from stream.scoreboard.visit import Shown, Visit, Waiting

__all__ = ["Counts", "Judged", "LaneState", "ListJoin"]

_NO_INTEREST = frozenset({"skip", "dislike"})
_KEPT = 8  # lists of a session that are looked back on: what is older was not on display any more
_WAITING = 1_000  # clicks of a session that wait for an answer; more come from a machine
_GIVEN_UP = 10_000  # clicks that others were answered after: a worker's batch has a thousand, and they end in order


class Judged(NamedTuple):
    """A click with a list before it."""

    session: str
    item: str
    ts: int  # of the click, ms since the epoch
    rank: int  # place of the item in the list, from 1; 0 where it was not in it
    shown: Shown
    visit: Visit


class Counts(msgspec.Struct):
    """What became of clicks (see the module), and of lists."""

    clicks: int = 0
    first: int = 0
    missing: int = 0
    late: int = 0
    passed: int = 0
    judged: int = 0
    older: int = 0
    unanswered: int = 0
    before: int = 0
    erased: int = 0
    untimed: int = 0  # clicks whose records have no time: no list counts as late for them
    lists: int = 0
    repeats: int = 0  # lists that answer nothing new
    orphans: int = 0  # lists of clicks that were not read: retention removed them, or their session was let go
    crowded: int = 0  # sessions that were ended early, as too many were open

    @property
    def waiting(self) -> int:
        """Clicks that are not answered yet."""
        known = self.first + self.missing + self.late + self.passed + self.judged + self.unanswered + self.before
        return self.clicks - known - self.erased


class LaneState(msgspec.Struct, array_like=True):
    """One partition of the clicks, as the state file has it."""

    newest_ms: int  # greatest record time
    frontier: int  # greatest source of a list
    oldest: int  # source of the first list
    visits: list[tuple[str, Visit]]  # those that last, by their newest click
    ended: list[tuple[str, Visit]]  # that have clicks waiting, in the order they ended


@dataclass(slots=True)
class _Lane:
    """One partition of the clicks."""

    newest_ms: int = 0
    frontier: int = -1
    oldest: int = -1
    visits: OrderedDict[str, Visit] = field(default_factory=OrderedDict)
    ended: deque[tuple[str, Visit]] = field(default_factory=deque)
    by_name: dict[str, list[Visit]] = field(default_factory=dict)  # the ended ones

    def keep_ended(self, name: str, visit: Visit) -> None:
        self.ended.append((name, visit))
        self.by_name.setdefault(name, []).append(visit)

    def forget(self, name: str, offset: int) -> list[Visit]:
        """What began before this offset of a session, which is forgotten."""
        gone = [visit for one, visit in self.ended if one == name]
        if gone:
            self.ended = deque((one, visit) for one, visit in self.ended if one != name)
            del self.by_name[name]
        visit = self.visits.get(name)
        if visit is not None and visit.start < offset:
            gone.append(self.visits.pop(name))
        return gone

    def forget_ended(self) -> Visit:
        """The one that ended first, which is forgotten."""
        name, visit = self.ended.popleft()
        self.by_name[name].remove(visit)
        if not self.by_name[name]:
            del self.by_name[name]
        return visit


class ListJoin:
    """Takes clicks and lists; what follows from each is returned at once.

    row_of: the number of a list's row, and of its teams in it. number_of: an item's number. on_list: hears of each list
    that counts, with its session and its latency in ms (None where that can't be told); on_click of each click;
    on_erase of each session that is erased, the place of what asked for it, and how many of its clicks waited.
    """

    def __init__(
        self,
        config: ScoreboardConfig | None = None,
        *,
        row_of: Callable[[Recommendation], int] = lambda _: 0,
        teams_of: Callable[[int, Recommendation], tuple[int, ...]] = lambda *_: (),
        on_list: Callable[[Visit, Shown, int | None], None] = lambda *_: None,
        on_click: Callable[[Click, Visit], None] = lambda *_: None,
        on_erase: Callable[[Erase, Source, int], None] = lambda *_: None,
    ) -> None:
        self._on_erase = on_erase
        self._config = config or ScoreboardConfig()
        self._idle_ms = int(self._config.idle_s * 1000)
        self._row_of, self._teams_of, self._on_list, self._on_click = row_of, teams_of, on_list, on_click
        self.items: dict[str, int] = {}  # that stood in a list, in the order they were seen
        self._names: list[str] = []
        self.counts = Counts()
        self._lanes: dict[int, _Lane] = {}

    def names(self) -> Sequence[str]:
        """The items by their numbers."""
        if len(self._names) < len(self.items):
            self._names += list(islice(self.items, len(self._names), None))
        return self._names

    def __len__(self) -> int:
        return sum(len(lane.visits) for lane in self._lanes.values())

    def snapshot(self) -> dict[int, LaneState]:
        """The open sessions of each partition; shared with the join, so encode them before it goes on."""
        return {
            partition: LaneState(
                lane.newest_ms, lane.frontier, lane.oldest, list(lane.visits.items()), list(lane.ended)
            )
            for partition, lane in self._lanes.items()
        }

    def restore(self, lanes: dict[int, LaneState], counts: Counts, items: list[str]) -> None:
        """Go on where a snapshot was taken."""
        self.counts = counts
        self.items = {item: number for number, item in enumerate(items)}
        self._names = []
        for partition, state in lanes.items():
            lane = self._lanes[partition] = _Lane(
                state.newest_ms, state.frontier, state.oldest, OrderedDict(state.visits)
            )
            for name, visit in state.ended:
                lane.keep_ended(name, visit)

    def clicked(self, click: Click, partition: int, offset: int, at_ms: int) -> list[Judged]:
        """A click of the topic, and its record's time; nothing is judged by it, as its answer is to come."""
        lane = self._lanes.setdefault(partition, _Lane())
        known_ms = sane_record_time_ms(at_ms)
        if known_ms is not None and known_ms > lane.newest_ms:
            lane.newest_ms = known_ms
        self._end_idle(lane)
        visit = lane.visits.get(click.session_id)
        if visit is None:
            self._make_room(lane)
            visit = lane.visits[click.session_id] = Visit(start=offset, last=-1, last_ms=0)
        elif offset <= visit.last:
            return []
        lane.visits.move_to_end(click.session_id)
        visit.last, visit.last_ms = offset, lane.newest_ms
        self.counts.clicks += 1
        self.counts.untimed += known_ms is None
        if len(visit.waiting) >= _WAITING:
            del visit.waiting[0]
            self.counts.unanswered += 1
        wanted = click.type not in _NO_INTEREST
        visit.waiting.append(Waiting(offset, click.item_id, click.ts, -1 if known_ms is None else known_ms, wanted))
        self._on_click(click, visit)
        return []

    def erase(self, erase: Erase, source: Source) -> None:
        """Forget a session up to there; what it has added to sums stays, as sums name nobody."""
        name, lane = erase.session_id, self._lanes.setdefault(source.partition, _Lane())
        gone = lane.forget(name, source.offset)
        waiting = sum(len(visit.waiting) for visit in gone)
        self.counts.erased += waiting
        self._on_erase(erase, source, waiting)

    def listed(self, found: Recommendation) -> list[Judged]:
        """A list of the topic: judges the clicks that it answers by those before it."""
        source, name = found.source, found.session_id
        lane = self._lanes.setdefault(source.partition, _Lane())
        if lane.oldest < 0:
            lane.oldest = source.offset
        lane.frontier = max(lane.frontier, source.offset)
        visit = _visit(lane, name, source.offset)
        self._give_up(lane)
        if visit is None:
            self.counts.orphans += 1
            return []
        if visit.lists and source.offset <= visit.lists[-1].source:
            self.counts.repeats += 1
            return []
        row = self._row_of(found)
        numbers = self.items
        items = tuple([numbers.setdefault(one.item_id, len(numbers)) for one in found.items])
        teams = self._teams_of(row, found) if found.teams else ()
        shown = Shown(source.offset, found.published_ts, items, row, found.fallback, teams)
        judged, latency_ms = self._answer(name, visit, shown)
        visit.lists.append(shown)
        del visit.lists[:-_KEPT]
        self.counts.lists += 1
        self._on_list(visit, shown, latency_ms)
        return judged

    def _answer(self, name: str, visit: Visit, shown: Shown) -> tuple[list[Judged], int | None]:
        """Judge the clicks that the list answers; how long the newest of them waited, in ms."""
        judged, latency_ms, answered = [], None, 0
        for click in visit.waiting:
            if click.offset > shown.source:
                break
            answered += 1
            if click.offset == shown.source and click.at_ms >= 0:
                latency_ms = max(0, shown.published_ms - click.at_ms)
            found = self._judge(name, visit, click)
            if found is not None:
                judged.append(found)
        del visit.waiting[:answered]
        return judged, latency_ms

    def _judge(self, name: str, visit: Visit, click: Waiting) -> Judged | None:
        counts = self.counts
        if not click.judged:
            counts.passed += 1
        elif click.offset == visit.start:
            counts.first += 1
        elif not visit.lists:
            counts.missing += 1
        else:
            for shown in reversed(visit.lists):
                if shown.published_ms <= click.at_ms or click.at_ms < 0:
                    break
            else:
                counts.late += 1
                return None
            counts.judged += 1
            counts.older += shown is not visit.lists[-1]
            number = self.items.get(click.item)
            rank = shown.items.index(number) + 1 if number in shown.items else 0
            return Judged(name, click.item, click.ts, rank, shown, visit)
        return None

    def _end_idle(self, lane: _Lane) -> None:
        """End the sessions that were silent for too long: those in front."""
        before = lane.newest_ms - self._idle_ms
        while lane.visits and next(iter(lane.visits.values())).last_ms < before:
            _end_oldest(lane)

    def _make_room(self, lane: _Lane) -> None:
        while len(lane.visits) >= self._config.max_sessions:
            _end_oldest(lane)
            self.counts.crowded += 1

    def _give_up(self, lane: _Lane) -> None:
        """Forget ended sessions whose last clicks are answered, or were passed over by so many others."""
        while lane.ended:
            visit = lane.ended[0][1]
            if visit.waiting and visit.last + _GIVEN_UP >= lane.frontier:
                return
            lane.forget_ended()
            before = sum(click.offset < lane.oldest for click in visit.waiting)
            self.counts.before += before
            self.counts.unanswered += len(visit.waiting) - before


def _visit(lane: _Lane, name: str, offset: int) -> Visit | None:
    """The session that the click at this offset was of; None where it is not known any more."""
    visit = lane.visits.get(name)
    if visit is not None and visit.start <= offset:
        return visit
    return next((one for one in lane.by_name.get(name, ()) if one.start <= offset <= one.last), None)


def _end_oldest(lane: _Lane) -> None:
    """Forget a session, or keep it apart while its last clicks may still be answered."""
    name, visit = lane.visits.popitem(last=False)
    if visit.waiting:
        lane.keep_ended(name, visit)
