"""Ranking times are compared between runs of like size only."""

import pytest

from stream.experiments.pace import Pace


def pace(*runs: tuple[int, float]) -> Pace:
    made = Pace()
    for sessions, seconds in runs:
        made.add(sessions, seconds)
    return made


def test_models_that_take_as_long_for_as_many_sessions_compare_alike_whatever_the_sizes() -> None:
    few = pace(*[(1, 0.002)] * 90, *[(900, 0.050)] * 10)
    many = pace(*[(1, 0.002)] * 10, *[(900, 0.050)] * 90)
    runs, own_s, other_s = few.against(many)
    assert runs == 100
    assert own_s == pytest.approx(other_s)


def test_one_that_takes_three_times_as_long_is_seen() -> None:
    _, own_s, other_s = pace((1, 0.006), (100, 0.030)).against(pace((1, 0.002), (100, 0.010)))
    assert own_s == pytest.approx(3 * other_s)


def test_runs_of_sizes_that_the_other_never_had_are_not_compared() -> None:
    assert pace((1, 9.0)).against(pace((100, 0.01))) == (0, 0.0, 0.0)
    runs, own_s, _ = pace((1, 0.002), (1000, 9.0)).against(pace((1, 0.002)))
    assert (runs, own_s) == (1, 0.002)


def test_what_was_long_ago_is_forgotten() -> None:
    slow_once = pace(*[(4, 1.0)] * 50, *[(4, 0.001)] * 3000)
    assert slow_once.against(pace((4, 0.001)))[1] < 0.002
