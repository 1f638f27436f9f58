"""Tests of export/ranking/best.py, against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.ranking import best as module
from export.ranking.best import best


@given(
    st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 300), st.integers(1, 320), st.sampled_from([1, 3, 1000])
)
def test_best_columns_are_those_of_sorting_and_others_are_below_the_bound(
    seed: int, rows: int, width: int, depth: int, different: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, different, (rows, width)).astype(np.float32)
    scores[random.random(scores.shape) < random.choice([0.0, 0.1, 0.99])] = -np.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GROUP", 4)
        found = best(scores, depth)
    order = np.argsort(-scores, axis=1, kind="stable")
    for row in range(rows):
        sure = (found.scores[row] >= found.bound[row]) & (found.scores[row] > -np.inf)
        assert found.columns[row][sure].tolist() == order[row][: sure.sum()].tolist()
        assert (scores[row][found.columns[row]] == found.scores[row]).all()
        others = np.setdiff1d(np.arange(width), found.columns[row][sure])
        assert (scores[row][others] < found.bound[row]).all() or np.isneginf(scores[row][others]).all()
    assert found.columns.shape == (rows, min(depth, width))
