"""Tests of `model.data.overlap`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.overlap import overlap
from model.data.readers import RawLog, read_log

Click = tuple[str, str, int]
T0 = 1_700_000_000_000
CLICKS = st.lists(
    st.tuples(st.sampled_from(["p", "q", "7", "8"]), st.sampled_from(["a", "5", "6"]), st.integers(T0, T0 + 3)),
    min_size=1,
    max_size=12,
)


def raw_log(folder: Path, name: str, clicks: list[Click]) -> RawLog:
    file = folder / name
    file.write_text("session_id,item_id,ts\n" + "".join(f"{s},{i},{ts}\n" for s, i, ts in clicks))
    return read_log(file)


@given(train=CLICKS, held_out=CLICKS)
def test_shared_rows_and_sessions_are_those_counted_by_hand(
    tmp_path_factory: pytest.TempPathFactory, train: list[Click], held_out: list[Click]
) -> None:
    folder = tmp_path_factory.mktemp("overlap")
    found = overlap(raw_log(folder, "a.csv", train), raw_log(folder, "b.csv", held_out))
    assert (found.rows, found.of_rows) == (sum(click in train for click in held_out), len(held_out))
    sessions = {session for session, _, _ in held_out}
    assert (found.sessions, found.of_sessions) == (len(sessions & {s for s, _, _ in train}), len(sessions))


def test_lines_of_a_part_of_a_log_count_only(tmp_path: Path) -> None:
    whole = raw_log(tmp_path, "a.csv", [("p", "a", T0), ("q", "a", T0)])
    first, second = whole.select(whole.sessions == 0), whole.select(whole.sessions == 1)
    assert (overlap(first, second).rows, overlap(first, second).sessions) == (0, 0)
    assert overlap(first, second).warning() is None
    assert overlap(whole, second).rows == 1


def test_warning_says_the_share(tmp_path: Path) -> None:
    train = raw_log(tmp_path, "a.csv", [("p", "a", T0), ("q", "a", T0)])
    same = overlap(train, raw_log(tmp_path, "b.csv", [("p", "a", T0), ("r", "a", T0)])).warning()
    assert same is not None
    assert "50.0% of the rows" in same
    assert "1 of 2 sessions (50.0%)" in same
    ids = overlap(train, raw_log(tmp_path, "c.csv", [("p", "a", T0 + 9)])).warning()
    assert ids is not None
    assert "with other clicks" in ids
