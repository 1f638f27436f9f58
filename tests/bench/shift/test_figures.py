"""Hit rates by window, and how long new items waited."""

import math

import pytest

from bench.shift.figures import Judged, first_waits, hit_rates, median_wait, share_of_hits

JUDGED = [Judged(0.0, True), Judged(9.9, False), Judged(10.0, True), Judged(31.0, False)]


def test_hit_rates_are_by_window_and_none_where_nothing_was_judged() -> None:
    assert hit_rates(JUDGED, window_s=10, seconds=40) == [0.5, 1.0, None, 0.0]


def test_hit_rates_leave_out_what_lies_outside() -> None:
    early_and_late = [Judged(-1.0, True), *JUDGED, Judged(40.0, True)]
    assert hit_rates(early_and_late, window_s=10, seconds=40) == hit_rates(JUDGED, window_s=10, seconds=40)
    assert hit_rates([], window_s=10, seconds=35) == [None] * 4


def test_share_of_hits_is_of_its_span() -> None:
    assert share_of_hits(JUDGED, 10.0) == pytest.approx(1 / 2)
    assert share_of_hits(JUDGED, 0.0, 10.0) == pytest.approx(1 / 2)
    assert share_of_hits(JUDGED, 50.0) is None


def test_first_waits_run_from_click_to_list_and_never_end_without_one() -> None:
    waits = first_waits({"a": 5.0, "b": 6.0, "c": 7.0}, {"a": 12.0, "c": 6.5, "unclicked": 1.0})
    assert waits == [0.0, 7.0, math.inf]  # c was in a list before anybody clicked it


def test_median_wait_of_items_that_were_mostly_in_no_list_is_none() -> None:
    assert median_wait([1.0, 2.0, math.inf]) == 2.0
    assert median_wait([1.0, math.inf, math.inf]) is None
    assert median_wait([]) is None
