"""Tests of `model.data.split`."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.readers import RawLog, iter_clicks, read_log
from model.data.split import DAY_MS, hold_out, split
from model.errors import DataError


def raw_log(folder: Path, clicks: Sequence[tuple[int, int]]) -> RawLog:
    """Return a log of (session, ts) clicks on one item."""
    file = folder / "log.csv"
    file.write_text("session_id,item_id,timestamp\n" + "".join(f"{session},1,{ts}\n" for session, ts in clicks))
    return read_log(file)


def sessions_in(raw: RawLog) -> set[str]:
    return {session for session, _, _, _ in iter_clicks(raw)}


def test_newest_day_with_more_than_a_tenth_is_held_out(tmp_path: Path) -> None:
    clicks = [(n, n * DAY_MS // 4) for n in range(16)]  # four sessions a day, four days
    train, valid = hold_out(raw_log(tmp_path, clicks))
    assert sessions_in(valid) == {"12", "13", "14", "15"}
    assert len(sessions_in(train)) == 12


def test_newest_tenth_is_held_out_where_newest_day_has_less(tmp_path: Path) -> None:
    clicks = [(n, n * DAY_MS) for n in range(40)]  # a session a day
    train, valid = hold_out(raw_log(tmp_path, clicks))
    assert sessions_in(valid) == {"36", "37", "38", "39"}
    assert train.clicks == 36


def test_log_of_one_day_keeps_nine_tenths_to_train(tmp_path: Path) -> None:
    train, valid = hold_out(raw_log(tmp_path, [(n, 1000 * n) for n in range(50)]))
    assert (len(sessions_in(train)), len(sessions_in(valid))) == (45, 5)


def test_session_belongs_to_the_day_of_its_last_click(tmp_path: Path) -> None:
    clicks = [(1, 0), (2, 10), (3, 20), (4, 30), (1, 2 * DAY_MS)]
    _, valid = hold_out(raw_log(tmp_path, clicks))
    assert sessions_in(valid) == {"1"}
    assert valid.clicks == 2


def test_single_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few sessions to hold some out for validation: 1; it takes 2"):
        hold_out(raw_log(tmp_path, [(1, 0), (1, 5)]))


def items_log(folder: Path, sessions: Sequence[str]) -> RawLog:
    """Return a log of one session a text, in the order of time; each letter is a click on an item."""
    file = folder / "log.csv"
    clicks = [f"{number},{item},{1000 * number}\n" for number, items in enumerate(sessions) for item in items]
    file.write_text("session_id,item_id,timestamp\n" + "".join(clicks))
    return read_log(file)


def test_split_newest_sessions_of_one_click_are_not_what_is_held_out(tmp_path: Path) -> None:
    log, valid = split(items_log(tmp_path, ["ab", "bc", "ca", "ab", "bc", "ca", "ab", "bc", "ca", "a"]))
    assert (log.sessions, valid.sessions) == (8, 1)


def test_split_newest_sessions_of_new_items_only_holds_out_more(tmp_path: Path) -> None:
    log, valid = split(items_log(tmp_path, ["ab", "bc", "ca", "ab", "bc", "ca", "ab", "bc", "xy", "yz"]))
    assert (log.sessions, valid.sessions) == (6, 2)


def test_split_nothing_known_in_the_newer_half_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--valid"):
        split(items_log(tmp_path, ["ab", "cd", "ef", "gh"]))


@given(clicks=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5 * DAY_MS)), min_size=2, max_size=40))
def test_any_split_divides_sessions_and_keeps_every_click(
    tmp_path_factory: pytest.TempPathFactory, clicks: list[tuple[int, int]]
) -> None:
    raw = raw_log(tmp_path_factory.mktemp("split"), clicks)
    if len(sessions_in(raw)) < 2:
        return
    train, valid = hold_out(raw)
    assert train.clicks + valid.clicks == raw.clicks
    assert sessions_in(train)
    assert sessions_in(valid)
    assert not sessions_in(train) & sessions_in(valid)
    assert max(train.ts) <= max(valid.ts)
