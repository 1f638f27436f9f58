"""The figures by experiment and version, and what their first keys are of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from export.experiments.experiment import INTERLEAVED, Experiment
from export.experiments.sequence import SequenceConfig
from stream.scoreboard.board import OLDER, Board
from stream.scoreboard.figures import POPULARITY, figures
from stream.scoreboard.join import Counts
from stream.scoreboard.lanes import Dropped
from tests.stream.scoreboard.boards import TWO, listed, sessions, shown_list


def told(board: Board, *experiments: Experiment, items: int = 4) -> dict[str, Any]:
    known = {one.experiment: one for one in experiments}
    return figures(board, range(items), Counts(), Dropped(), known, SequenceConfig())


def test_versions_are_the_rows_where_there_is_no_experiment() -> None:
    board = Board()
    sessions(board, shown_list("", "default", "3"), 2, clicks=4, hits=1, rank=2)
    listed(board, shown_list("", "default", "", fallback=True), 1)
    found = told(board)
    row = found["variants"]["3"]
    assert (row["sessions"], row["clicks"], row["hits"], row["hit_rate"], row["mrr"]) == (2, 8, 2, 0.25, 0.125)
    assert (row["coverage"], row["items"], row["fallback"], row["lists"]) == (0.5, 2, 0.0, 2)
    assert found["models"][POPULARITY]["fallback"] == 1.0
    assert found["models"][POPULARITY]["hit_rate"] is None
    assert (found["experiment"], found["uplift"], found["experiments"]) == (None, None, {})


def test_experiment_that_runs_has_the_first_keys_and_the_control_comes_first() -> None:
    board = Board()
    sessions(board, shown_list(variant="challenger", model="2"), 1_000, hits=2)
    sessions(board, shown_list(), 1_000)
    found = told(board, msgspec.structs.replace(TWO, started_ts=2))
    assert (found["experiment"], list(found["variants"])) == ("two", ["control", "challenger"])
    assert found["uplift"] == pytest.approx(1.0)
    assert found["interval"][0] > 0.9
    assert found["sample_ratio_ok"] is True


def test_shares_that_were_not_kept_are_said() -> None:
    board = Board()
    sessions(board, shown_list(), 1_000)
    sessions(board, shown_list(variant="challenger"), 700)
    assert told(board, TWO)["sample_ratio_ok"] is False


def test_experiment_whose_record_is_gone_keeps_its_rows() -> None:
    board = Board()
    sessions(board, shown_list(variant="a"), 300)
    sessions(board, shown_list(), 300)
    found = told(board)["experiments"]["two"]
    assert (found["state"], list(found["variants"]), found["sample_ratio_ok"]) == ("unknown", ["control", "a"], None)


def test_three_variants_are_each_beside_the_control() -> None:
    third = (*TWO.variants, msgspec.structs.replace(TWO.variants[1], name="other"))
    board = Board()
    for name in ("control", "challenger", "other"):
        sessions(board, shown_list(variant=name), 300)
    found = told(board, msgspec.structs.replace(TWO, variants=third))
    assert found["uplift"] == {"challenger": 0.0, "other": 0.0}


def test_interleaved_lists_say_which_model_is_preferred() -> None:
    board = Board()
    both = shown_list(variant=INTERLEAVED, teams=["challenger", "control"])
    sessions(board, both, 30, rank=1)
    sessions(board, both, 10, rank=2)
    found = told(board, msgspec.structs.replace(TWO, interleave=True))["experiments"]["two"]
    assert found["preferred"] == {"control": 10, "challenger": 30, "share": 0.75}
    assert found["uplift"] is None


def test_versions_not_seen_for_longest_are_counted_together_and_nothing_is_lost() -> None:
    board, whole = Board(max_models=2), Board()
    for counted in (board, whole):
        for version in range(1, 6):
            sessions(counted, shown_list("", "default", str(version), published_ts=version), version, hits=version % 2)
    assert set(board.models) == {OLDER, "4", "5"}
    assert board.total() == whole.total()
    older = board.models[OLDER]
    assert (older.tally.sessions, older.state.lists, older.items) == (6, 6, 2)
    again = Board(max_models=2)
    again.restore(board.stored(), board.mixed)
    assert again.facts() == board.facts()
    assert len(again.rows) == len(board.rows)
