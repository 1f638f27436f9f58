"""The hit rates that the demo shows: counted by the scoreboard's join and board, as `nextclick scoreboard` counts.

They are given the clicks and lists that the shoppers send and read anyway. One more reader of the topics would slow the
in-process cluster down, which looks for the place of every fetch from the beginning of its records: with a `Scoreboard`
beside the shoppers, a click was read after 17 ms in the median a minute later, and without one after 5.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from demo.comparison import NAME
from demo.join import IDLE_S
from export.experiments.sequence import SequenceConfig
from stream.messages.contract import Click, Recommendation
from stream.scoreboard.board import Board
from stream.scoreboard.config import ScoreboardConfig
from stream.scoreboard.figures import experiment_figures
from stream.scoreboard.join import Judged, ListJoin
from stream.scoreboard.lanes import Lanes
from stream.topic_names import Topics

__all__ = ["HitCounter", "Hits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Share of judged clicks whose item was in the list before; None before the first."""

    model: float | None = None
    popularity: float | None = None  # of the same clicks, had the most clicked items been shown
    by_model: dict[str, float] = field(default_factory=dict)  # by version, of the sessions in no experiment
    by_variant: dict[str, float] = field(default_factory=dict)  # of the experiment that runs, the control first
    uplift: float | None = None  # of the variant over the control: .05 is 5 % more hits
    interval: tuple[float, float] | None = None  # of `uplift`; None while there are too few sessions


class HitCounter:
    """A scoreboard of the demo's own clicks. `popular`: the most clicked items, the list to beat. Safe for threads.

    `experiment` is the one whose variants are told.
    """

    def __init__(self, popular: Collection[str] = (), topics: Topics = Topics()) -> None:
        self.experiment = NAME
        self._lock = threading.Lock()
        self._popular = frozenset(popular)
        self._judged = self._popular_hits = 0
        self._board, self._sequence = Board(), SequenceConfig()
        self._join = ListJoin(
            ScoreboardConfig(idle_s=IDLE_S),
            row_of=self._board.row_of,
            teams_of=self._board.teams_of,
            on_list=self._board.listed,
        )
        self._lanes = Lanes(self._join, topics.clicks)

    def clicked(self, click: Click, partition: int, offset: int, at_ms: int) -> None:
        """The broker has taken a click; `at_ms` is its record's time."""
        with self._lock:
            if partition not in self._lanes.clicks:
                self._lanes.add({partition: offset}, {})
            self._lanes.clicked(partition, offset, click, at_ms)
            self._count()

    def listed(self, found: Recommendation, partition: int, offset: int) -> None:
        """A list was read; its place among the lists."""
        with self._lock:
            if partition not in self._lanes.lists:
                self._lanes.add({}, {partition: offset})
            self._lanes.listed(partition, offset, found)
            self._count()

    def now(self) -> Hits:
        """What has been judged so far."""
        with self._lock:
            told = experiment_figures(self._board, self.experiment, None, self._sequence, len(self._join.items))
            variants = {name: row["hit_rate"] for name, row in told["variants"].items()}
            models = {name: row.tally.hit_rate for name, row in self._board.models.items()}
            return Hits(
                model=self._board.total().hit_rate,
                popularity=self._popular_hits / self._judged if self._judged else None,
                by_model={name: rate for name, rate in models.items() if rate is not None},
                by_variant={name: rate for name, rate in variants.items() if rate is not None},
                uplift=told["uplift"],
                interval=told["interval"],
            )

    def _count(self) -> None:
        judged: Sequence[Judged] = self._lanes.drain()
        self._board.take(judged)
        self._judged += len(judged)
        self._popular_hits += sum(one.item in self._popular for one in judged)
