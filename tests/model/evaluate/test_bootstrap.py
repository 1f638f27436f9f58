"""Tests of `model.evaluate.bootstrap`: known answers, pairing, and the share of intervals that hold the truth."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.evaluate.bootstrap import interval, resampled_means


def test_equal_sessions_leave_nothing_to_chance() -> None:
    means = resampled_means(np.full((50, 1), 3.0), np.full(50, 4.0), resamples=20)
    assert means.shape == (20, 1)
    assert means == pytest.approx(0.75)


def test_sessions_weigh_by_their_predictions() -> None:
    sums, counts = np.array([[0.0], [9.0]]), np.array([1.0, 9.0])  # one miss; nine hits
    means = resampled_means(sums, counts, resamples=400, seed=1)[:, 0]
    assert set(means.round(3)) == {0.0, 0.9, 1.0}  # both drawn: 9 of 10


def test_columns_see_the_same_draws() -> None:
    sums = np.random.default_rng(2).integers(0, 5, (300, 1)).astype(float)
    means = resampled_means(np.hstack((sums, sums + 1)), np.ones(300), resamples=50)
    assert np.ptp(means[:, 0]) > 0.1
    assert means[:, 1] - means[:, 0] == pytest.approx(1.0)


def test_same_seed_gives_the_same_means_and_another_seed_others() -> None:
    sums, counts = np.random.default_rng(3).random((40, 2)), np.ones(40)
    first = resampled_means(sums, counts, resamples=9, seed=5)
    assert np.array_equal(first, resampled_means(sums, counts, resamples=9, seed=5))
    assert not np.array_equal(first, resampled_means(sums, counts, resamples=9, seed=6))


def test_means_do_not_depend_on_how_many_resamples_fit_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sums, counts = np.random.default_rng(4).random((31, 3)), np.arange(1.0, 32.0)
    whole = resampled_means(sums, counts, resamples=25)
    monkeypatch.setattr("model.evaluate.bootstrap.CELLS", 100)
    assert resampled_means(sums, counts, resamples=25) == pytest.approx(whole)


def test_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for trial in range(200):
        counts = rng.integers(1, 6, 150).astype(float)
        rate = rng.beta(2, 2, 150)  # a session's own: its predictions depend on each other
        sums = rng.binomial(counts.astype(int), rate).astype(float)
        low, high = interval(resampled_means(sums[:, None], counts, resamples=300, seed=trial)[:, 0])
        held += low <= 0.5 <= high
    assert 0.9 <= held / 200 <= 0.99


def test_interval_leaves_out_equal_shares() -> None:
    assert interval(np.arange(101.0), confidence=0.9) == pytest.approx((5.0, 95.0))


@pytest.mark.parametrize(("sums", "counts"), [(np.zeros((0, 1)), np.zeros(0)), (np.zeros((2, 1)), np.ones(3))])
def test_arrays_that_do_not_fit_are_refused(sums: NDArray[Any], counts: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="sessions"):
        resampled_means(sums, counts)
