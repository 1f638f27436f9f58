"""The ranker's speed by preset."""

from __future__ import annotations

from argparse import Namespace

from bench.ranking import measure, sessions, table


def test_a_committee_is_ranked_as_one_model() -> None:
    row = measure("tron+", Namespace(items=60, batch=4, seconds=0.01, threads=1))
    assert row["preset"] == "tron+"
    assert row["lists_per_s"] > 0
    assert table([row], 60, 4).row_count == 1


def test_sessions_have_a_click_and_known_items() -> None:
    drawn = sessions(200, 30, seed=0)
    assert min(map(len, drawn)) >= 1
    assert all(items.min() >= 1 and items.max() <= 30 for items in drawn)
