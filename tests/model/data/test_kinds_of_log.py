"""Tests of a log that says what each event is: readers, `build_log`, `SessionLog`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.events import KINDS, code_of
from model.data.log import SessionLog
from model.data.readers import ReadOptions, build_log, read_log
from model.data.split import part
from tests.model.logs import session_log

LINES = """session_id,item_id,timestamp,type
a,1,1,click
a,2,2,skip
a,3,3,order
b,1,4,click
b,9,5,dislike
c,1,6,cart
c,3,7,click
c,2,8,skip
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "log.csv"
    file.write_text(LINES)
    return file


def typed(sessions: list[list[tuple[int, str]]], items: int | None = None) -> SessionLog:
    log = session_log([[item for item, _ in session] for session in sessions], items)
    kinds = np.array([code_of(kind) for session in sessions for _, kind in session], np.int8)
    return replace(log, kinds=kinds)


def test_skips_are_left_out_unless_they_are_asked_for(path: Path) -> None:
    log = build_log(read_log(path))
    assert log.kinds is None
    assert [log.session(n).tolist() for n in range(log.sessions)] == [[1, 2], [1, 2]]
    assert log.vocabulary.items == ("1", "3")


def test_kept_kinds_stand_beside_their_items(path: Path) -> None:
    log = build_log(read_log(path, ReadOptions(kinds=frozenset(KINDS))))
    assert log.vocabulary.items == ("1", "2", "3")
    assert log.kinds is not None
    named = [KINDS[code - 1] for code in log.kinds.tolist()]
    assert named == ["click", "skip", "order", "cart", "click", "skip"]  # b has one event of interest


def test_parts_of_a_log_keep_the_kinds(path: Path) -> None:
    parts = part(read_log(path, ReadOptions(kinds=frozenset(KINDS))))
    assert parts.log.kinds is not None
    assert parts.valid.kinds is not None


def test_wanted_leaves_out_what_nobody_wanted_and_no_session() -> None:
    log = typed([[(1, "click"), (2, "skip"), (3, "like")], [(2, "dislike")], [(3, "cart")]])
    wanted = log.wanted()
    assert [wanted.session(n).tolist() for n in range(wanted.sessions)] == [[1, 3], [], [3]]
    assert wanted.ts.tolist() == [0, 2000, 4000]
    assert log.popularity().tolist() == [1, 0, 2]
    assert wanted.wanted() is wanted


def test_kinds_go_with_what_is_selected_cut_and_saved(tmp_path: Path) -> None:
    log = typed([[(1, "click"), (2, "skip"), (3, "like")], [(2, "dislike"), (1, "order")]])
    assert log.kinds is not None
    assert log.select(np.array([1])).kinds.tolist() == [6, 3]  # type: ignore[union-attr]
    assert log.tail(1).kinds.tolist() == [4, 3]  # type: ignore[union-attr]
    log.save(tmp_path)
    again = SessionLog.load(tmp_path)
    assert again.kinds is not None
    assert again.kinds.tolist() == log.kinds.tolist()
    assert again.digest() == log.digest()


def test_digest_tells_kinds_apart_and_is_as_before_without_them(tmp_path: Path) -> None:
    log = typed([[(1, "click"), (2, "click")]])
    plain = replace(log, kinds=None)
    assert len({plain.digest(), log.digest(), typed([[(1, "click"), (2, "skip")]]).digest()}) == 3
    log.save(tmp_path)
    plain.save(tmp_path)
    assert SessionLog.load(tmp_path).kinds is None


@pytest.mark.parametrize("kinds", [np.array([1], np.int8), np.array([1, 1], np.int64), np.array([0, 1], np.int8)])
def test_kinds_that_do_not_fit_are_refused(kinds: np.ndarray) -> None:
    with pytest.raises(ValueError, match="kinds"):
        replace(session_log([[1, 2]]), kinds=kinds)
