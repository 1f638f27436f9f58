"""Intervals that hold at all times: closed forms, coverage over looks, sessions as observations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConfigError
from export.experiments.ratio import evidence, is_ratio_ok
from export.experiments.sequence import SequenceConfig, radius, rho_for, uplift
from export.experiments.tally import Tally

COUNTS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda p: (p[0], min(p))), min_size=2, max_size=60
)


def tally(sessions: list[tuple[int, int]]) -> Tally:
    made = Tally()
    for clicks, hits in sessions:
        made.add(clicks, hits, hits / 2)
    return made


def test_radius_is_that_of_the_paper() -> None:
    """Theorem 2.2, written out once more."""
    config = SequenceConfig(alpha=0.05, tightest_at=500)
    rho = rho_for(500, 0.05)
    t = 800
    expected = 1.7 * math.sqrt(2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / 0.05))
    assert radius(t, 1.7, config) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sessions", "tightest_at", "alpha", "bound"),
    [
        (100, 500, 0.05, 33.638877257828),
        (800, 500, 0.05, 86.193590500241),
        (5_000, 500, 0.05, 229.224441884557),
        (20_000, 10_000, 0.05, 432.958260381857),
        (20_000, 10_000, 0.01, 508.495307186750),
    ],
)
def test_radius_is_that_of_confseq(sessions: int, tightest_at: int, alpha: float, bound: float) -> None:
    """The two-sided normal_mixture_bound of the authors' confseq, in C++ (this Python has no package of it). It
    finds the tightest place by Lambert's function, we by the paper's approximation."""
    found = radius(sessions, 1.0, SequenceConfig(alpha=alpha, tightest_at=tightest_at)) * sessions
    assert found == pytest.approx(bound, rel=0.015)


def test_radius_is_about_tightest_where_it_is_to_be_beside_a_fixed_horizon() -> None:
    of = {
        horizon: radius(2_000, 1.0, SequenceConfig(tightest_at=horizon)) for horizon in (20, 500, 2_000, 10_000, 10**6)
    }
    assert min(of, key=lambda horizon: of[horizon]) == 2_000
    assert 1.96 / math.sqrt(2_000) < of[2_000] < 2 * 1.96 / math.sqrt(2_000)


def test_sequence_of_experiments_without_a_difference_alarms_rarely_over_all_looks() -> None:
    config, alarms = SequenceConfig(alpha=0.1, tightest_at=1_000, least=100), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        parts = []
        for _ in range(2):
            clicks = rng.integers(1, 8, 2_000)
            taste = rng.beta(2, 3, 2_000)  # clicks of a session depend on each other
            hits = rng.binomial(clicks, taste)
            parts.append(
                (np.cumsum(clicks), np.cumsum(hits), np.cumsum(clicks**2), np.cumsum(clicks * hits), np.cumsum(hits**2))
            )
        for at in range(99, 2_000, 100):
            both = [
                Tally(
                    sessions=at + 1,
                    clicks=int(part[0][at]),
                    hits=int(part[1][at]),
                    nn=int(part[2][at]),
                    hn=int(part[3][at]),
                    hh=int(part[4][at]),
                )
                for part in parts
            ]
            found = uplift(both[0], both[1], config)
            if found.is_better or found.is_worse:
                alarms += 1
                break
    assert alarms <= 20


def test_uplift_of_a_real_difference_is_found_with_its_size() -> None:
    rng = np.random.default_rng(1)
    made = [tally([(5, int(rng.binomial(5, rate))) for _ in range(20_000)]) for rate in (0.30, 0.36)]
    found = uplift(made[0], made[1])
    assert found.is_better
    assert found.relative == pytest.approx(0.2, abs=0.03)
    assert found.interval is not None
    assert found.interval[0] < 0.2 < found.interval[1]
    assert uplift(made[1], made[0]).is_worse


def test_uplift_of_few_sessions_has_no_interval() -> None:
    few = tally([(3, 1)] * 50)
    found = uplift(few, tally([(3, 2)] * 50))
    assert found.relative == pytest.approx(1.0)
    assert (found.interval, found.is_better) == (None, False)
    assert uplift(Tally(), few).difference is None


@given(COUNTS)
def test_tally_knows_what_numpy_knows(sessions: list[tuple[int, int]]) -> None:
    made = tally(sessions)
    n, h = (np.array(column, float) for column in zip(*sessions, strict=True))
    assert made.hit_rate == pytest.approx(h.sum() / n.sum())
    residuals = (h - made.hits / made.clicks * n) / n.mean()
    assert made.rate_variance == pytest.approx(residuals.var(ddof=1) / len(n), abs=1e-12)
    whole = Tally.of(n.astype(np.int64), h.astype(np.int64), h / 2)
    assert whole == made
    assert Tally.total([tally(sessions[:1]), tally(sessions[1:])]) == made


def test_session_without_a_judged_click_counts_for_nothing() -> None:
    made = Tally()
    made.add(0, 0)
    assert (made.sessions, made.hit_rate, made.mrr) == (0, None, None)


def test_ratio_is_alarmed_by_lost_sessions_and_by_nothing_else() -> None:
    rng = np.random.default_rng(0)
    assert not is_ratio_ok([5_000, 4_500], [1, 1])
    assert is_ratio_ok([50, 45], [1, 1])
    alarms = 0
    for _ in range(300):
        counts = np.zeros(3, int)
        for _ in range(40):
            counts += rng.multinomial(100, [0.5, 0.3, 0.2])
            if not is_ratio_ok(counts.tolist(), [50, 30, 20], alpha=0.05):
                alarms += 1
                break
    assert alarms <= 15


def test_ratio_of_nothing_is_no_evidence() -> None:
    assert evidence([0, 0], [1, 3]) == pytest.approx(0.0)
    with pytest.raises(ConfigError):
        evidence([1, 2, 3], [1, 1])
    with pytest.raises(ConfigError):
        evidence([1, 2], [1, 0])


@pytest.mark.parametrize("bad", [{"alpha": 0}, {"alpha": 1}, {"tightest_at": 0}, {"least": 1}, {"alpha": float("nan")}])
def test_settings_that_can_not_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SequenceConfig(**bad)  # type: ignore[arg-type]
