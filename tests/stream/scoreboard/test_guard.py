"""Guard rails: each finds what it is for, compares with the control, and says nothing of what all variants have."""

from __future__ import annotations

import msgspec
import pytest

from export.errors import ConfigError
from export.experiments.experiment import INTERLEAVED, Experiment
from export.experiments.sequence import SequenceConfig
from stream.scoreboard.board import Board
from stream.scoreboard.guard import Breach, Guard, GuardConfig
from tests.stream.scoreboard.boards import TWO, listed, sessions, shown_list

CONTROL, CHALLENGER = shown_list(), shown_list(variant="challenger", model="2")


def looked(board: Board, experiment: Experiment = TWO, guard: Guard | None = None) -> list[Breach]:
    return (guard or Guard(GuardConfig(), SequenceConfig())).look(board, [experiment])


def test_variant_that_does_as_well_is_left_alone() -> None:
    board, guard = Board(), Guard(GuardConfig(), SequenceConfig())
    assert looked(board, guard=guard) == []
    for one in (CONTROL, CHALLENGER):
        sessions(board, one, 3_000)
    assert looked(board, guard=guard) == []
    assert looked(board, guard=guard) == []


def test_hit_rate_surely_far_below_the_controls_stops_the_variant() -> None:
    board = Board()
    sessions(board, CONTROL, 2_000, hits=2)
    sessions(board, CHALLENGER, 1_000, hits=1)
    sessions(board, CHALLENGER, 1_000, hits=2)
    (breach,) = looked(board)
    assert breach[:3] == ("two", "challenger", "hit_rate")
    assert "below the control's at least" in breach.reason


def test_variant_without_any_hit_is_stopped() -> None:
    board = Board()
    sessions(board, CONTROL, 1_000, hits=2)
    sessions(board, CHALLENGER, 1_000, hits=0)
    assert [breach.rail for breach in looked(board)] == ["hit_rate"]


def test_hit_rate_that_may_be_chance_stops_nobody() -> None:
    board = Board()
    sessions(board, CONTROL, 150, hits=2)
    sessions(board, CHALLENGER, 150, hits=0)
    assert looked(board) == [], "fewer sessions than anything is said of"


def test_lists_of_popular_items_stop_the_variant_within_a_window_though_it_was_fine_for_days() -> None:
    board, guard = Board(), Guard(GuardConfig(), SequenceConfig())
    for one in (CONTROL, CHALLENGER):
        listed(board, one, 20_000)
    assert looked(board, guard=guard) == []
    listed(board, CONTROL, 300)
    listed(board, msgspec.structs.replace(CHALLENGER, fallback=True), 300)
    assert looked(board, guard=guard) == [], "the window is not full"
    listed(board, CONTROL, 300)
    listed(board, CHALLENGER, 300)
    (breach,) = looked(board, guard=guard)
    assert breach == Breach(
        "two", "challenger", "fallback", "50% of its last 600 lists are of popular items, or empty; 0% of the control's"
    )


def test_what_all_variants_suffer_stops_nobody() -> None:
    board, guard = Board(), Guard(GuardConfig(), SequenceConfig())
    assert looked(board, guard=guard) == []
    for one in (CONTROL, CHALLENGER):
        listed(board, msgspec.structs.replace(one, fallback=True), 600, latency_ms=90_000)
    assert looked(board, guard=guard) == []
    assert looked(board, guard=guard) == []


def test_lists_that_come_far_later_stop_the_variant() -> None:
    board, guard = Board(), Guard(GuardConfig(), SequenceConfig())
    for one in (CONTROL, CHALLENGER):
        listed(board, one, 10)
    looked(board, guard=guard)
    listed(board, CONTROL, 600, latency_ms=20)
    listed(board, CHALLENGER, 550, latency_ms=20)
    listed(board, CHALLENGER, 50, latency_ms=400)
    (breach,) = looked(board, guard=guard)
    assert breach[:3] == ("two", "challenger", "latency")
    listed(board, CONTROL, 600, latency_ms=2)
    listed(board, CHALLENGER, 600, latency_ms=20)
    assert looked(board, guard=guard) == [], "ten times as long, and nobody feels it"


def test_sessions_that_get_something_else_stop_the_variant() -> None:
    board, guard = Board(), Guard(GuardConfig(), SequenceConfig())
    listed(board, CONTROL, 5_000)  # of an earlier run: they are not asked about
    assert looked(board, guard=guard) == []
    listed(board, CONTROL, 1_000)
    listed(board, CHALLENGER, 950)
    assert looked(board, guard=guard) == []
    listed(board, CONTROL, 1_000)
    (breach,) = looked(board, guard=guard)
    assert breach[:3] == ("two", "challenger", "errors")
    assert breach.reason.startswith("950 sessions were shown it, of about 2,000")


def test_variant_that_nobody_was_shown_is_found_too() -> None:
    board, guard = Board(), Guard(GuardConfig(), SequenceConfig())
    looked(board, guard=guard)
    listed(board, CONTROL, 400)
    assert [breach.rail for breach in looked(board, guard=guard)] == ["errors"]


def test_variant_that_is_stopped_and_experiment_that_is_over_are_not_looked_at() -> None:
    board = Board()
    sessions(board, CONTROL, 2_000, hits=2)
    sessions(board, CHALLENGER, 2_000, hits=0)
    control, challenger = TWO.variants
    stopped = msgspec.structs.replace(TWO, variants=(control, msgspec.structs.replace(challenger, stopped="x")))
    assert looked(board, stopped) == []
    assert looked(board, msgspec.structs.replace(TWO, state="stopped")) == []


def test_interleaved_lists_whose_second_model_hardly_anybody_prefers_stop_the_experiment() -> None:
    both = shown_list(variant=INTERLEAVED, model="1+2", teams=["control", "challenger"])
    drafted = msgspec.structs.replace(TWO, interleave=True)
    board = Board()
    sessions(board, both, 1_000, rank=1)  # an item of the control
    sessions(board, both, 900, rank=2)
    assert looked(board, drafted) == []
    sessions(board, both, 1_500, rank=1)
    (breach,) = looked(board, drafted)
    assert breach[:3] == ("two", "", "hit_rate")
    assert "prefer challenger" in breach.reason


def test_order_of_the_teams_is_the_experiments_whichever_was_listed_first() -> None:
    both = shown_list(variant=INTERLEAVED, model="1+2", teams=["challenger", "control"])
    board = Board()
    sessions(board, both, 3_000, rank=1)  # of the challenger
    assert looked(board, msgspec.structs.replace(TWO, interleave=True)) == []


@pytest.mark.parametrize("wrong", [{"hit_rate": 0.0}, {"errors": 1.5}, {"latency_ratio": 0.5}, {"window": 0}])
def test_rails_that_can_not_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="guard rails"):
        GuardConfig(**wrong)  # type: ignore[arg-type]
