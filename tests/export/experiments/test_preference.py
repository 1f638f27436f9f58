"""Which model sessions prefer: shares, and intervals that hold at all looks."""

import numpy as np
import pytest

from export.experiments.preference import Preference
from export.experiments.sequence import SequenceConfig


def test_preference_of_no_session_is_unknown() -> None:
    assert (Preference().share, Preference().interval()) == (None, None)


def test_preference_of_few_sessions_has_no_interval() -> None:
    few = Preference(first=50, second=149)
    assert few.share == pytest.approx(149 / 199)
    assert few.interval() is None
    assert Preference(first=50, second=150).interval() is not None


def test_preference_interval_lies_around_the_share_and_within_0_to_1() -> None:
    low, high = Preference(first=400, second=600).interval() or (0.0, 0.0)
    assert 0 < low < 0.6 < high < 1
    assert Preference(first=0, second=300).interval(SequenceConfig(tightest_at=10)) == pytest.approx(
        (1.0, 1.0), abs=0.01
    )


def test_preference_of_equal_models_alarms_rarely_over_all_looks() -> None:
    config, alarms = SequenceConfig(alpha=0.1, tightest_at=1_000), 0
    for seed in range(300):
        second = np.random.default_rng(seed).integers(0, 2, 3_000).cumsum()
        for at in range(100, 3_000, 50):
            won = int(second[at - 1])
            bounds = Preference(first=at - won, second=won).interval(config)
            if bounds is not None and not bounds[0] <= 0.5 <= bounds[1]:
                alarms += 1
                break
    assert alarms <= 30
