"""The figures of two topics: those of an independent count, however they were read, over kills."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.messages.contract import Click, Recommendation, Source
from stream.scoreboard.board import Board, Latency
from stream.scoreboard.config import ScoreboardConfig
from stream.scoreboard.join import ListJoin
from stream.scoreboard.lanes import Lanes
from stream.scoreboard.state import ScoreboardState, restore, take
from tests.stream.scoreboard.recount import Recount, recount
from tests.stream.scoreboard.topics import Drawn, draw

IDLE_MS = 1_000
TOPICS = ("clicks", "recommendations")


class Counting:
    """What a scoreboard is without Kafka. `state`: of one that was killed."""

    def __init__(self, drawn: Drawn, state: bytes | None = None, **config: Any) -> None:
        self.drawn, self.board = drawn, Board()
        self.join = ListJoin(
            ScoreboardConfig(idle_s=IDLE_MS / 1000, **config),
            row_of=self.board.row_of,
            teams_of=self.board.teams_of,
            on_list=self.board.listed,
        )
        self.lanes = Lanes(self.join, TOPICS[0])
        places = [dict.fromkeys(drawn.clicks, 0), dict.fromkeys(drawn.clicks, 0)]
        if state is not None:
            known = msgspec.msgpack.decode(state, type=ScoreboardState)
            restore(known, self.join, self.board, self.lanes)
            places = [known.next_clicks, known.next_lists]
        self.lanes.add(*places)
        self.clicks = {p: [row for row in rows if row.offset >= places[0][p]] for p, rows in drawn.clicks.items()}
        self.lists = {p: list(enumerate(rows))[places[1][p] :] for p, rows in drawn.lists.items()}

    @property
    def left(self) -> int:
        return sum(len(rows) for rows in self.clicks.values()) + sum(len(rows) for rows in self.lists.values())

    def read(self, luck: random.Random, most: int) -> None:
        """Some messages of some partition of either topic."""
        queues = [(kind, p) for kind in ("clicks", "lists") for p in self.drawn.clicks if getattr(self, kind)[p]]
        kind, partition = luck.choice(queues)
        queue = getattr(self, kind)[partition]
        for _ in range(min(most, len(queue))):
            if kind == "clicks":
                row = queue.pop(0)
                self.lanes.clicked(partition, row.offset, row.click, row.at_ms)
            else:
                offset, found = queue.pop(0)
                self.lanes.listed(partition, offset, found)
        self.board.take(self.lanes.drain())

    def read_all(self, luck: random.Random) -> Counting:
        while self.left:
            self.read(luck, luck.choice([1, 3, 100]))
        return self

    def state(self) -> bytes:
        return take(TOPICS, self.join, self.board, self.lanes)

    def facts(self) -> dict[str, Any]:
        counts = msgspec.structs.asdict(self.join.counts) | msgspec.structs.asdict(self.lanes.dropped)
        return self.board.facts() | counts | {"open": len(self.join)}


def assert_same(counted: Counting, expected: Recount) -> None:
    board, counts = counted.board, counted.join.counts
    for name in ("first", "missing", "late", "passed", "judged"):
        assert getattr(counts, name) == expected.counts[name], name
    assert counts.repeats + counts.orphans == expected.counts["repeats"], "those of sessions that are over"
    assert counts.waiting + counts.unanswered + counts.before <= expected.counts["open"], "some were not read yet"
    for row in board.rows:
        own = row.state
        key = f"{own.experiment}/{own.name}"
        found, wanted = row.tally, expected.tallies.get(key)
        if wanted is None:
            assert found.clicks == 0, key
        else:
            assert found.reciprocal == pytest.approx(wanted.reciprocal)
            assert msgspec.structs.replace(found, reciprocal=0) == msgspec.structs.replace(wanted, reciprocal=0), key
        assert (own.shown, own.lists, row.items) == (
            expected.shown[key],
            expected.lists[key],
            len(expected.items[key]),
        ), key
        latency = Latency()
        for ms in expected.latency[key]:
            latency.add(ms)
        assert own.latency == latency
        names, preference = row.preference if own.teams else ((), None)
        cast = expected.preferred.get(key, Counter())
        if preference is not None:
            assert (preference.first, preference.second) == (*(cast[name] for name in names), 0, 0)[:2]
    assert {f"{row.state.experiment}/{row.state.name}" for row in board.rows} == set(expected.lists)
    assert Counter(board.mixed) == expected.mixed


@settings(max_examples=settings().max_examples * 3)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_figures_are_those_of_an_independent_count_in_whatever_order_it_was_read(seed: int, partitions: int) -> None:
    drawn = draw(seed, partitions=partitions, idle_ms=IDLE_MS)
    expected = recount(
        [row for rows in drawn.clicks.values() for row in rows],
        [one for lists in drawn.lists.values() for one in lists],
        IDLE_MS,
    )
    first = Counting(drawn).read_all(random.Random(seed))
    assert_same(first, expected)
    assert first.facts() == Counting(drawn).read_all(random.Random(seed + 1)).facts()


@settings(max_examples=settings().max_examples * 3)
@given(st.integers(0, 10**6))
def test_figures_after_kills_are_those_without(seed: int) -> None:
    luck = random.Random(seed)
    drawn = draw(seed, idle_ms=IDLE_MS)
    expected = Counting(drawn).read_all(luck).facts()
    state = None
    for _ in range(luck.choice([1, 3])):
        killed = Counting(drawn, state)
        for _ in range(luck.randrange(20)):
            if killed.left:
                killed.read(luck, 3)
        state = killed.state()
        while killed.left and luck.random() < 0.5:  # what it did after its last snapshot is lost
            killed.read(luck, 5)
    assert Counting(drawn, state).read_all(luck).facts() == expected


def test_lists_of_other_placements_are_left_out_and_counted() -> None:
    join = ListJoin(ScoreboardConfig())
    lanes = Lanes(join, TOPICS[0], "home")
    lanes.add({0: 0}, {0: 0})
    lanes.clicked(0, 0, Click("s", "a", 0), 1_700_000_000_000)
    source = Source(TOPICS[0], 0, 0)
    for offset, placement in enumerate(["", "home", "cart"]):
        found = Recommendation("s", [], "1", "default", False, source, 0, 1_700_000_000_001, placement=placement)
        lanes.listed(0, offset, found)
    lanes.drain()
    assert lanes.dropped.other_placements == 2
    assert join.counts.lists == 1
    assert lanes.lists[0].done == 3
