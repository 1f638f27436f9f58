"""When the memory of a worker counts as growing."""

import numpy as np
import pytest

from bench.endurance.memory import growth_mb


def test_growth_only_the_second_half_counts() -> None:
    assert growth_mb(np.array([10.0, 60.0, 90.0, 99.0, 100.0, 100.0, 100.0, 100.0])) == pytest.approx(0.0)
    assert growth_mb(np.array([10.0, 10.0, 10.0, 10.0, 10.0, 11.0, 12.0, 13.0])) == pytest.approx(3.0)


def test_growth_one_odd_sample_is_no_growth() -> None:
    rss = np.full(60, 150.0)
    rss[45] = 152.0
    assert abs(growth_mb(rss)) < 0.2
