"""A budget too short for all sessions learns the newest of them, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from model.auto.newest import ROOM, of_the_newest
from model.config import Preset
from model.presets import preset
from model.reports.outlook import MemberOutlook, Outlook
from model.reports.progress import Progress
from tests.model.tiny import tiny_log

LOG = tiny_log(1_000)
AUTO = preset("auto").override(batch=10)


def plan(step_s: float) -> Outlook:
    one = MemberOutlook(steps=1_000, step_s=step_s, late_s=step_s, late=0.0, validation_s=0.0, validations=1)
    return Outlook(members=(one,))


def newest(given: Preset, step_s: float | None = None, *by_hand: str) -> tuple[int, list[Progress]]:
    told: list[Progress] = []
    found = of_the_newest(given, LOG, None if step_s is None else plan(step_s), frozenset(by_hand), told.append)
    return found.train.newest_sessions, told


def test_steps_for_a_part_of_a_pass_are_of_the_newest_sessions() -> None:
    count, told = newest(AUTO.override(max_steps=20))
    assert count == round(ROOM * 200)
    assert "the newest 300 of 1,000 sessions, as the budget is enough for 20% of them" in told[0].message


def test_seconds_are_told_in_steps_by_the_timed_ones() -> None:
    assert newest(AUTO.override(max_seconds=4.0), 0.2)[0] == round(ROOM * 200)
    assert newest(AUTO.override(max_seconds=40.0), 0.2)[0] == 0, "time for two passes"
    assert newest(AUTO.override(max_seconds=4.0))[0] == 0, "nothing was timed: the training is a moment"


@pytest.mark.parametrize("options", [{}, {"max_steps": 100}])
def test_time_for_a_pass_leaves_all_sessions(options: dict[str, Any]) -> None:
    assert newest(AUTO.override(**options)) == (0, [])


def test_nothing_is_left_out_or_said_where_the_room_is_for_all() -> None:
    assert newest(AUTO.override(max_steps=66))[0] == 990
    assert newest(AUTO.override(max_steps=67)) == (0, [])


def test_what_was_given_by_hand_and_other_presets_stay() -> None:
    assert newest(AUTO.override(max_steps=20, newest_sessions=7), None, "newest_sessions")[0] == 7
    assert newest(preset("tron-fast").override(max_steps=1))[0] == 0
