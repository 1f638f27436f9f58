"""Tests of `model.data.log`."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bundle.vocabulary import Vocabulary
from model.data.gather import gather_ranges
from model.data.log import SessionLog
from model.errors import DataError
from tests.model.logs import session_log, sessions_of

SESSIONS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), max_size=12)


def test_counts_of_small_log_are_right() -> None:
    log = session_log([[1, 2, 2], [3]])
    assert (log.sessions, log.clicks, log.lengths.tolist()) == (2, 4, [3, 1])
    assert (log.first_ts, log.last_ts) == (0, 3000)
    assert log.popularity().tolist() == [1, 2, 1]
    assert log.session(0).tolist() == [1, 2, 2]


def test_empty_log_has_no_clicks_and_no_times() -> None:
    log = session_log([], items=2)
    assert (log.sessions, log.clicks, log.first_ts, log.last_ts) == (0, 0, 0, 0)
    assert log.popularity().tolist() == [0, 0]
    assert log.tail(3).sessions == 0


@given(SESSIONS, st.integers(1, 5))
def test_tail_keeps_newest_clicks_of_every_session(sessions: list[list[int]], size: int) -> None:
    cut = session_log(sessions, items=9).tail(size)
    assert [cut.session(n).tolist() for n in range(cut.sessions)] == [session[-size:] for session in sessions]


@given(SESSIONS, st.data())
def test_select_takes_sessions_in_order_given(sessions: list[list[int]], data: st.DataObject) -> None:
    log = session_log(sessions, items=9)
    rows = data.draw(st.lists(st.integers(0, max(0, len(sessions) - 1)), max_size=5)) if sessions else []
    chosen = log.select(np.array(rows, np.int64))
    assert [chosen.session(n).tolist() for n in range(chosen.sessions)] == [sessions[row] for row in rows]


def test_select_by_mask_equals_select_by_rows() -> None:
    log = session_log([[1, 2], [3], [2, 2]])
    by_mask = log.select(np.array([True, False, True]))
    assert by_mask.digest() == log.select(np.array([0, 2])).digest()
    assert by_mask.ts.tolist() == [0, 1000, 3000, 4000]


def test_tail_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        session_log([[1]]).tail(0)


@pytest.mark.parametrize(
    ("items", "offsets", "ts", "fault"),
    [
        ([1, 4], [0, 2], [1, 2], "outside"),
        ([0, 1], [0, 2], [1, 2], "outside"),
        ([1, 2], [0, 1], [1, 2], "run from 0 to 2"),
        ([1, 2], [], [1, 2], "run from 0 to 2"),
        ([1, 2], [0, 2, 1, 2], [1, 2], "go back"),
        ([1, 2], [0, 2], [1], "1 times for 2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(items: list[int], offsets: list[int], ts: list[int], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        SessionLog(
            items=np.array(items, np.int32),
            offsets=np.array(offsets, np.int64),
            ts=np.array(ts, np.int64),
            vocabulary=Vocabulary(["a", "b", "c"]),
        )


def test_wrong_dtype_is_refused() -> None:
    log = session_log([[1]])
    with pytest.raises(ValueError, match="items must be a row of int32"):
        SessionLog(log.items.astype(np.int64), log.offsets, log.ts, log.vocabulary)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("sessions", [[[1, 2], [3, 3, 1]], []])
def test_saved_log_loads_equal(tmp_path: Path, sessions: list[list[int]], mapped: bool) -> None:
    log = session_log(sessions, items=3)
    log.save(tmp_path / "log")
    loaded = SessionLog.load(tmp_path / "log", mapped=mapped)
    assert loaded.digest() == log.digest()
    assert isinstance(loaded.items, np.memmap) is mapped


@pytest.mark.parametrize("name", ["items.npy", "offsets.npy", "ts.npy", "items.json"])
def test_damaged_log_is_refused(tmp_path: Path, name: str) -> None:
    session_log([[1, 2], [3, 3, 1]]).save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="no usable session log"):
        SessionLog.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="no usable session log"):
        SessionLog.load(tmp_path)


def test_digest_changes_with_every_part() -> None:
    log = session_log([[1, 2], [3]])
    others = [
        session_log([[1, 2], [2]], items=3),
        session_log([[1], [2, 3]]),
        session_log([[1, 2], [3]], items=4),
        SessionLog(log.items, log.offsets, log.ts + 1, log.vocabulary),
    ]
    digests = {log.digest(), *(other.digest() for other in others)}
    assert len(digests) == 5
    assert len(log.digest()) == hashlib.sha256().digest_size * 2


def test_gather_ranges_joins_ranges_in_order() -> None:
    starts, lengths = np.array([5, 0, 7]), np.array([2, 0, 3])
    assert gather_ranges(starts, lengths).tolist() == [5, 6, 7, 8, 9]
    assert gather_ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_sessions_of_names_the_items() -> None:
    assert sessions_of(session_log([[1, 2], [2]])) == [["i1", "i2"], ["i2"]]


def test_parts_are_of_whole_sessions_and_of_no_more_clicks_than_asked_where_that_can_be() -> None:
    log = session_log([[1, 2], [3], [1, 2, 3, 1], [2]])
    parts = [(items.tolist(), session.tolist()) for items, session in log.in_parts(3)]
    assert parts == [([1, 2, 3], [0, 0, 1]), ([1, 2, 3, 1], [0, 0, 0, 0]), ([2], [0])]
