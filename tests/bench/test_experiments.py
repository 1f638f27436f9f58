"""What is said of simulated experiments: the population, when a test ends, and the figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.simulated_sessions import Population, populate
from bench.experiments import (
    Ended,
    Setting,
    columns,
    cumulated,
    draw,
    fixed_size,
    needed,
    one_test,
    run,
    share,
    summary,
    tally_of,
)
from export.experiments.sequence import SequenceConfig
from export.experiments.tally import Tally

SETTING = Setting(tests=40, sessions=6_000, every=200, sequence=SequenceConfig(tightest_at=3_000))


@pytest.fixture(scope="module")
def population() -> Population:
    return populate(2_000, uplift=0.1, seed=3)


@pytest.fixture(scope="module")
def ended(population: Population) -> Ended:
    return run(population, SETTING)


def test_population_has_the_uplift_asked_for_and_prefers_the_better_model(population: Population) -> None:
    assert population.uplift == pytest.approx(0.1, abs=0.002)
    assert (population.first_hits <= population.clicks).all()
    assert (population.first_votes + population.second_votes <= population.clicks).all()
    assert population.second_votes.sum() > 1.05 * population.first_votes.sum()
    clicks, hits = population.clicks, population.first_hits
    rate = hits.sum() / clicks.sum()
    residuals = hits - rate * clicks
    assert (residuals**2).mean() > 1.1 * rate * (1 - rate) * clicks.mean()  # clicks of a session depend on each other


def test_population_can_not_be_better_than_the_truth() -> None:
    with pytest.raises(ValueError, match="less uplift"):
        populate(200, uplift=0.9, noise=0.1)


def test_same_model_twice_alarms_rarely_and_a_fixed_size_looked_at_each_time_does_not(ended: Ended) -> None:
    assert share(ended.alarms) <= 0.05
    assert share(ended.peeked) > 0.1


def test_better_model_is_found_first_in_interleaved_lists(ended: Ended) -> None:
    assert share(ended.found) > 0.8
    assert share(ended.wrong) == 0
    assert np.median(ended.interleaved) < np.median(ended.found)
    assert (ended.found[np.isfinite(ended.found)] % SETTING.every == 0).all()


def test_worse_model_is_never_called_better(population: Population) -> None:
    first, second = (columns(population.clicks, h) for h in (population.first_hits, population.second_hits))
    _, _, better, worse = one_test(np.random.default_rng(0), second, first, replace(SETTING, sessions=20_000))
    assert (np.isinf(better), np.isfinite(worse)) == (True, True)


def test_tallies_of_looks_are_those_of_the_sessions_so_far() -> None:
    clicks, hits = np.array([1, 4, 2, 3, 5]), np.array([1, 0, 2, 1, 5])
    looks = list(cumulated(columns(clicks, hits), 2))
    assert looks == [Tally.of(clicks[:n], hits[:n], np.zeros(n)) for n in (2, 4)]  # the fifth has no look


def test_fixed_size_is_that_of_the_formula_for_shares() -> None:
    """Of one click a session it is the textbook's: 80 % power, 5 %, .5 against .55: 1,562 a variant (pooled less)."""
    of = [
        tally_of(columns(np.ones(10_000, int), (np.arange(10_000) < n).astype(int)).sum(axis=0)) for n in (5000, 5500)
    ]
    assert fixed_size(of[0], of[1], 0.05) == pytest.approx(2 * 1_562, rel=0.002)


def test_sessions_needed_of_tests_that_did_not_end_are_not_known() -> None:
    inf = float("inf")
    assert needed(np.array([100.0, 200.0, 300.0, inf, inf])) == {"median": 300, "enough_for_80%": None}
    assert needed(np.array([100.0, 200.0, 300.0, 400.0, inf])) == {"median": 300, "enough_for_80%": None}
    assert needed(np.linspace(100.0, 1_100.0, 11)) == {"median": 600, "enough_for_80%": 900}


def test_figures_and_plot_are_the_same_again(population: Population, ended: Ended, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    again = run(population, SETTING)
    assert summary(population, SETTING, ended) == summary(population, SETTING, again)
    for name, one in (("first", ended), ("second", again)):
        draw(one, SETTING, tmp_path / f"{name}.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
