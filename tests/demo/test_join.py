"""Clicks joined with the lists that answer them."""

import random

import pytest

from demo.join import IDLE_S, ClickJoin
from demo.spotlight import Spotlight


def test_answered_after_the_report_measures_from_produce() -> None:
    join = ClickJoin()
    join.located(join.sent("s", "a", at=1.0), 5)
    assert join.pending == 1
    join.answered("s", ["b"], "1", False, offset=5, at=1.010)
    figures = join.figures()
    assert (figures.clicks, figures.answered, join.pending) == (1, 1, 0)
    assert figures.p50_ms == pytest.approx(10.0, rel=0.01)
    assert figures.recent_p99_ms == pytest.approx(10.0)


def test_answered_before_the_report_counts_the_time_of_the_answer() -> None:
    join = ClickJoin()
    ticket = join.sent("s", "a", at=1.0)
    join.answered("s", ["b"], "1", False, offset=5, at=1.010)
    assert join.pending == 1  # nobody knows yet which click stands at offset 5
    join.located(ticket, 5)
    assert join.pending == 0
    assert join.figures().p50_ms == pytest.approx(10.0, rel=0.01)


def test_answer_of_an_older_click_does_not_answer_a_newer_one() -> None:
    join = ClickJoin()
    join.located(join.sent("s", "a", at=1.0), 5)
    newer = join.sent("s", "b", at=2.0)
    join.answered("s", ["c"], "1", False, offset=5, at=2.5)
    join.located(newer, 9)
    assert join.pending == 1
    join.answered("s", ["c"], "1", False, offset=9, at=2.6)
    assert join.pending == 0


def test_one_answer_of_the_newest_click_answers_all_before_it() -> None:
    join = ClickJoin()
    for offset in (3, 4, 8):
        join.located(join.sent("s", "a", at=1.0), offset)
    join.answered("s", ["c"], "1", False, offset=8, at=1.2)
    assert join.figures().answered == 3


def test_answer_of_another_session_answers_nothing() -> None:
    join = ClickJoin()
    join.located(join.sent("s", "a", at=1.0), 5)
    join.answered("t", ["c"], "1", False, offset=6, at=1.2)
    assert join.pending == 1


def test_repeated_answer_counts_once() -> None:
    join = ClickJoin()
    join.located(join.sent("s", "a", at=1.0), 5)
    for at in (1.1, 1.3):
        join.answered("s", ["c"], "1", False, offset=5, at=at)
    figures = join.figures()
    assert figures.answered == 1
    assert figures.recent_p99_ms == pytest.approx(100.0)


def test_late_report_takes_the_first_answer_that_covers_the_click() -> None:
    join = ClickJoin()
    ticket = join.sent("s", "a", at=1.0)
    for offset, at in ((4, 1.1), (5, 1.2), (9, 1.9)):
        join.answered("s", ["c"], "1", False, offset=offset, at=at)
    join.located(ticket, 5)
    assert join.figures().recent_p50_ms == pytest.approx(200.0)


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_reports_and_answers_answers_every_click_once(seed: int) -> None:
    luck = random.Random(seed)
    join = ClickJoin()
    tickets = [(join.sent("s", "a", at=float(offset)), offset) for offset in range(10)]
    news = [("report", place) for place in range(10)] + [("answer", place) for place in (2, 5, 6, 9)]
    luck.shuffle(news)
    for at, (kind, place) in enumerate(news):
        if kind == "report":
            join.located(*tickets[place])
        else:
            join.answered("s", ["c"], "1", False, offset=place, at=100.0 + at)
    assert join.pending == 0
    assert join.figures().answered == 10


def test_models_are_in_the_order_their_lists_arrived() -> None:
    join = ClickJoin()
    for model in ("2", "1", "2", ""):
        join.answered("s", ["b"], model, False, offset=0, at=1.1)
    assert join.figures().models == ("2", "1")


def test_figures_before_anything_are_empty() -> None:
    figures = ClickJoin().figures()
    assert (figures.clicks, figures.answered, figures.models) == (0, 0, ())
    assert figures.p50_ms is figures.p99_ms is None


def test_fallback_lists_are_counted() -> None:
    join = ClickJoin()
    join.answered("s", [], "", True, offset=0, at=1.0)
    figures = join.figures()
    assert (figures.fallbacks, figures.models) == (1, ())


def test_percentiles_are_of_all_answers() -> None:
    join = ClickJoin()
    for offset in range(100):
        join.located(join.sent(f"s{offset}", "a", at=0.0), offset)
        join.answered(f"s{offset}", ["c"], "1", False, offset=offset, at=(offset + 1) / 1000.0)
    figures = join.figures()
    assert figures.p50_ms == pytest.approx(50.0, rel=0.02)
    assert figures.p99_ms == pytest.approx(99.0, rel=0.02)


def test_forget_idle_keeps_sessions_with_a_click_unanswered() -> None:
    spotlight = Spotlight()
    join = ClickJoin(spotlight)
    join.located(join.sent("waits", "a", at=0.0), 0)
    join.answered("over", ["b"], "1", False, offset=1, at=0.0)
    join.forget_idle(IDLE_S + 1.0)
    spotlight.clicked("other", "c", True, at=IDLE_S + 1.5)
    join.sent("over", "b", at=IDLE_S + 20.0)
    assert spotlight.session == "over"  # it is forgotten, and begins anew
    join.answered("waits", ["b"], "1", False, offset=0, at=IDLE_S + 30.0)
    assert join.figures().answered == 1
