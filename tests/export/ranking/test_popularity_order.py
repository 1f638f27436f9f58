"""Tests of which items are the most popular, by a sort of all of them."""

import tracemalloc
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bundle import files
from export.bundle.vocabulary import Vocabulary
from export.ranking import popularity
from export.ranking.popularity import MostClicked, PopularityRanker


class FakeBundle:
    def __init__(self, clicks: list[int]) -> None:
        self.popularity = np.array(clicks, dtype=np.int64)
        self.vocabulary = Vocabulary(f"item-{number}" for number in range(len(clicks)))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 40), st.sets(st.integers(0, 29)))
def test_popular_items_are_those_of_a_stable_sort_however_many(clicks: list[int], k: int, barred: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(popularity, "_SOME", 3)
        patch.setattr(files, "_PART", 4)
        ranker = PopularityRanker(cast("Any", FakeBundle(clicks)))
    order = [place for place in sorted(range(len(clicks)), key=lambda place: -clicks[place]) if place not in barred]
    expected = [(f"item-{place}", clicks[place] / max(1, sum(clicks))) for place in order[:k]]
    for _ in range(2):  # what it keeps of a long list changes nothing
        assert ranker.popular(k, {f"item-{place}" for place in barred}).items == expected


def test_order_of_millions_is_kept_as_far_as_lists_ask_for_it(tmp_path: Path) -> None:
    """Beside a model of codes, a number an item is much: the model itself has eight bytes."""
    clicks = np.lib.format.open_memmap(tmp_path / "counts.npy", "w+", np.int64, (1_000_000,))
    clicks[:] = np.arange(1_000_000) % 777_777
    tracemalloc.start()
    most = MostClicked(clicks)
    kept, at_once = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most.first(3).tolist() == [777_777, 777_776, 777_775]
    assert kept < 100_000
    assert at_once < clicks.nbytes / 2
