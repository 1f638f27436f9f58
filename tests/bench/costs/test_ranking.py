"""The ranker's speed by preset."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import pytest

import bench.measure.bundles as random_bundles
from bench.costs.ranking import bundles, in_turns, measure, sessions, table, ticking
from export.bundle.bundle import Bundle
from tests.model.tiny import tiny_committee

pytestmark = pytest.mark.slow


def rows_of(**options: Any) -> list[dict[str, Any]]:
    args = {"preset": ["tron+"], "bundle": [], "items": 60, "batch": [4], "seconds": 0.01, "threads": [1]}
    asked = Namespace(**{**args, "exact": False, "counts": [0], "loading": False, **options})
    return [row for bundle, name in bundles(asked) for row in measure(bundle, name, asked)]


@pytest.fixture(scope="module")
def exact() -> Iterator[Bundle]:
    """A bundle of a preset."""
    asked = Namespace(preset=["tron-fast"], bundle=[], items=30, exact=True, counts=[0])
    for bundle, _ in bundles(asked):
        yield bundle


def test_a_committee_is_ranked_as_one_model_at_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_bundles, "preset", lambda _: tiny_committee(layers=1))  # tron+ takes long to export
    rows = rows_of(batch=[1, 4])
    assert [(row["preset"], row["batch"]) for row in rows] == [("tron+", 1), ("tron+", 4)]
    assert all(row["lists_per_s"] > 0 and row["ms"] > 0 for row in rows)
    # Both are means: beside the median `ms` a pause of the machine would show
    assert all(0 < row["python_us"] < 1e6 / row["lists_per_s"] for row in rows), rows
    assert table(rows).row_count == 2


def test_loading_is_timed_beside_a_thread_that_ticks(exact: Bundle) -> None:
    (row,) = rows_of(bundle=[exact.path], loading=True)
    assert row["loads"] >= 3
    assert row["load_ms"] > 0
    assert row["gap_ms"] >= row["gap_p99_ms"] >= 0


def test_bundles_given_are_measured_in_place_of_presets(exact: Bundle) -> None:
    (row,) = rows_of(bundle=[exact.path])
    assert (row["preset"], row["items"]) == (str(exact.path), 30)


def test_bundles_take_turns_and_compare_with_the_first(exact: Bundle) -> None:
    asked = Namespace(threads=[1], batch=[2], seconds=0.01)
    first, second = in_turns([(exact, "one"), (exact, "another")], asked)
    assert (first["preset"], second["preset"]) == ("one", "another")
    assert first["times"] == 1.0
    assert second["times"] > 0
    assert first["work_ms"] > 0


def test_gaps_show_what_holds_the_interpreter() -> None:
    with ticking() as gaps:
        time.sleep(0.05)
        sum([1] * 30_000_000)  # one call, in which no other thread runs
    assert max(gaps) > 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_sessions_have_a_click_and_known_items(seed: int) -> None:
    drawn = sessions(200, 30, seed)
    assert min(map(len, drawn)) >= 1
    assert all(items.min() >= 1 and items.max() <= 30 for items in drawn)
