"""A trainer's cycle picks what `auto` picks, by its window, and says so."""

from __future__ import annotations

from model.auto.rules import LEAST_BATCH
from model.auto.window import by_hand, for_window
from model.presets import preset
from model.reports.progress import Progress
from tests.model.tiny import tiny_log

AUTO = preset("auto")
LOG = tiny_log(1_000)


def test_window_of_few_sessions_takes_small_batches_and_says_so() -> None:
    told: list[Progress] = []
    found = for_window(AUTO, LOG, LOG.thinned(50), told.append)
    assert found.train.batch == LEAST_BATCH
    assert any("batches of 64" in report.message for report in told)


def test_what_an_option_has_set_stays() -> None:
    assert by_hand(AUTO) == frozenset()
    mine = AUTO.override(batch=200, threads=1)
    assert by_hand(mine) == {"batch", "threads"}
    assert for_window(mine, LOG, LOG.thinned(50)).train.batch == 200


def test_time_for_a_part_of_the_window_is_for_its_newest_sessions_but_not_of_what_was_chosen_before() -> None:
    short = AUTO.override(max_steps=4)
    assert for_window(short, LOG, LOG.thinned(50)).train.newest_sessions == round(1.5 * 4 * LEAST_BATCH)
    assert for_window(short, LOG, LOG.thinned(50), whole=False).train.newest_sessions == 0


def test_time_is_told_in_steps_by_timed_ones() -> None:
    short = AUTO.override(max_seconds=1e-3, threads=1)
    assert 0 < for_window(short, LOG, LOG.thinned(50)).train.newest_sessions < LOG.sessions
    assert for_window(AUTO.override(max_seconds=1e6, threads=1), LOG, LOG.thinned(50)).train.newest_sessions == 0


def test_another_preset_is_as_it_is() -> None:
    fast = preset("tron-fast")
    assert for_window(fast, LOG, LOG.thinned(50)) is fast
