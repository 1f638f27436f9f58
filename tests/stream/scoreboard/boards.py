"""Boards as they stand after so many sessions, and the experiments they are of."""

from __future__ import annotations

from export.experiments.experiment import BUCKETS, Experiment, Variant
from stream.messages.contract import Recommendation, Source, recommended
from stream.scoreboard.board import Board
from stream.scoreboard.join import Judged
from stream.scoreboard.visit import Shown, Visit

__all__ = ["TWO", "listed", "sessions", "shown_list"]

TWO = Experiment("two", (Variant("control", "1", share=BUCKETS // 2), Variant("challenger", "2", share=BUCKETS // 2)))


def shown_list(
    experiment: str = "two",
    variant: str = "control",
    model: str = "1",
    teams: list[str] | None = None,
    *,
    published_ts: int = 1,
    fallback: bool = False,
) -> Recommendation:
    items = recommended([("a", 1.0), ("b", 0.5)])
    return Recommendation(
        "s", items, model, variant, fallback, Source("clicks", 0, 0), 0, published_ts, experiment, teams or []
    )


def listed(board: Board, found: Recommendation, lists: int, *, latency_ms: int = 5) -> None:
    """So many lists like this one, each of a session of its own."""
    row = board.row_of(found)
    teams = board.teams_of(row, found) if found.teams else ()
    for number in range(lists):
        shown = Shown(number, found.published_ts, (0, 1), row, found.fallback, teams)
        board.listed(Visit(start=0, last=0, last_ms=0), shown, latency_ms)


def sessions(board: Board, found: Recommendation, count: int, *, clicks: int = 4, hits: int = 1, rank: int = 1) -> None:
    """So many sessions of `clicks` judged clicks, `hits` of them on the item of this rank."""
    row = board.row_of(found)
    teams = board.teams_of(row, found) if found.teams else ()
    shown = Shown(0, 1, (0, 1), row, False, teams)
    for number in range(count):
        visit = Visit(start=0, last=0, last_ms=0)
        board.listed(visit, shown, 5)
        board.take([Judged(f"s{number}", "a", 1, rank if click < hits else 0, shown, visit) for click in range(clicks)])
