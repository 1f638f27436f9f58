"""Tests of `model.evaluate.metrics`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConfigError
from model.evaluate.metrics import Metrics, gains


def test_known_ranks_give_the_figures_of_the_formulas() -> None:
    metrics = Metrics(items=10, cutoffs=(2, 3))
    metrics.add(np.array([[1, 2, 3], [4, 5, 6], [1, 2, 3], [1, 2, 3]]), np.array([1, 6, 9, 2]))  # ranks 1, 3, none, 2
    result = metrics.result()
    assert metrics.predictions == 4
    assert result["recall@2"] == 0.5
    assert result["recall@3"] == 0.75
    assert result["mrr@2"] == pytest.approx((1 + 1 / 2) / 4)
    assert result["mrr@3"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 4)
    assert result["ndcg@3"] == pytest.approx((1 + 1 / math.log2(3) + 1 / 2) / 4)
    assert result["coverage@2"] == 4 / 10
    assert result["coverage@3"] == 6 / 10


def test_ranks_are_returned_with_zero_for_targets_not_in_the_list() -> None:
    ranks = Metrics(items=9, cutoffs=(2,)).add(np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), np.array([2, 4, 9]))
    assert ranks.tolist() == [2, 1, 0]  # the third stands behind the cut-off


def test_gains_end_at_the_cutoff() -> None:
    found = gains(2, places=3)  # of no rank, 1, 2, 3
    assert found["recall"].tolist() == [0, 1, 1, 0]
    assert found["mrr"].tolist() == [0, 1, 0.5, 0]
    assert found["ndcg"].tolist() == pytest.approx([0, 1, 1 / math.log2(3), 0])


def test_padding_is_neither_a_hit_nor_covered() -> None:
    metrics = Metrics(items=2, cutoffs=(3,))
    metrics.add(np.array([[1, 0, 0]]), np.array([2]))
    assert metrics.result() == {"recall@3": 0.0, "mrr@3": 0.0, "ndcg@3": 0.0, "coverage@3": 0.5}


def test_nothing_added_gives_zeros() -> None:
    assert set(Metrics(items=5).result().values()) == {0.0}


@pytest.mark.parametrize("cutoffs", [(), (0,), (20, 20), (-1, 5)])
def test_bad_cutoffs_are_refused(cutoffs: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="cut-offs"):
        Metrics(items=5, cutoffs=cutoffs)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(1, 30))
def test_any_batching_gives_equal_figures_in_bounds(targets: list[int], batch: int) -> None:
    lists = np.tile(np.array([3, 1, 5, 2]), (len(targets), 1))
    wanted = np.array(targets) + 1
    whole, parts = Metrics(7, (1, 4)), Metrics(7, (1, 4))
    whole.add(lists, wanted)
    for start in range(0, len(wanted), batch):
        parts.add(lists[start : start + batch], wanted[start : start + batch])
    result = whole.result()
    assert parts.result() == result
    assert 0 <= result["mrr@4"] <= result["ndcg@4"] <= result["recall@4"] <= 1
    assert result["recall@1"] == result["mrr@1"] == result["ndcg@1"]
