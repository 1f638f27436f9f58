"""Problems come together in one place: logged once, shown while they last, and gone when they are over."""

import logging
import threading

import pytest

from stream.ops.metrics import Metrics
from stream.ops.problems import Problems


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_problem_raised_again_and_again_is_logged_once_and_once_when_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    problems = Problems(clock=clock)
    for count in range(3):
        problems.raise_("topic_deleted", f"a topic is gone ({count})", "make it again")
    assert said(caplog) == ["a topic is gone (0): make it again"]
    clock.now += 7
    problems.clear("topic_deleted")
    problems.clear("topic_deleted")
    assert said(caplog)[1:] == ["over after 7 s: a topic is gone (2)"]
    problems.raise_("topic_deleted", "gone again")
    assert said(caplog)[2:] == ["gone again"]


def test_problems_are_listed_oldest_first_with_their_newest_words() -> None:
    clock = Clock()
    problems = Problems(clock=clock)
    problems.raise_("first", "one")
    clock.now += 1
    problems.raise_("second", "two", "do this", unready=True)
    clock.now += 1
    problems.raise_("first", "one, worse")
    assert [(p.key, str(p), p.unready) for p in problems.lasting()] == [
        ("first", "one, worse", False),
        ("second", "two: do this", True),
    ]


def test_problem_with_a_time_goes_by_itself_unless_it_is_renewed() -> None:
    clock = Clock()
    problems = Problems(clock=clock)
    problems.raise_("clicks_lost", "980 clicks", for_s=10)
    clock.now += 9
    problems.raise_("clicks_lost", "990 clicks", for_s=10)
    clock.now += 9
    assert [p.what for p in problems.lasting()] == ["990 clicks"]
    clock.now += 2
    assert problems.lasting() == []


def test_problem_is_a_metric_while_it_lasts() -> None:
    metrics = Metrics()
    problems = Problems(metrics.problem)
    problems.raise_("no_model", "none")
    assert metrics.registry.get_sample_value("nextclick_problem", {"key": "no_model"}) == 1
    problems.clear("no_model")
    assert metrics.registry.get_sample_value("nextclick_problem", {"key": "no_model"}) == 0


def test_problems_from_many_threads_are_all_there() -> None:
    problems = Problems()

    def work(number: int) -> None:
        for _ in range(200):
            problems.raise_(f"p{number}", "x")
            problems.lasting()
            problems.clear(f"p{number}")
        problems.raise_(f"p{number}", "x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {p.key for p in problems.lasting()} == {f"p{number}" for number in range(8)}


@pytest.mark.parametrize("key", ["", "No_Model", "a b", "a-b"])
def test_problem_key_that_is_no_slug_is_our_own_bug(key: str) -> None:
    with pytest.raises(AssertionError):
        Problems().raise_(key, "x")
