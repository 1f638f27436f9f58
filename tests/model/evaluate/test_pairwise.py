"""Tests of `model.evaluate.pairwise`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.log import SessionLog
from model.evaluate.pairwise import find_pairs, pairwise_accuracy
from tests.model.feedback import typed_log
from tests.model.logs import session_log

SESSION = [(1, "click"), (2, "skip"), (3, "click"), (4, "dislike"), (3, "order"), (5, "like"), (2, "skip"), (1, "skip")]


def named(log: SessionLog) -> set[tuple[int, int, int]]:
    pairs = find_pairs(log)
    return set(zip(pairs.end.tolist(), pairs.wanted.tolist(), pairs.unwanted.tolist(), strict=True))


def test_pairs_are_of_one_session_each_seen_from_before_both() -> None:
    # 1 is wanted and never a no; 2 is named first at row 1, 4 at row 3; the first click has nothing before it
    assert named(typed_log([SESSION, [(6, "skip"), (7, "click")]])) == {
        (1, 3, 2), (1, 5, 2), (2, 3, 4), (3, 5, 4),
    }  # fmt: skip


def test_what_was_shown_at_the_same_time_is_not_given() -> None:
    log = typed_log([[(1, "click"), (2, "skip"), (4, "skip"), (3, "click")]])
    log = replace(log, ts=np.array([0, 5, 5, 5]))
    assert named(log) == {(1, 3, 2), (1, 3, 4)}


def test_a_log_without_kinds_has_no_pairs_and_no_accuracy() -> None:
    log = session_log([[1, 2, 3]])
    assert len(find_pairs(log).end) == 0
    assert pairwise_accuracy(lambda *_: np.zeros((1, 1), np.float32), log) == {}


def test_a_session_with_many_pairs_gives_so_many_evenly() -> None:
    log = typed_log([[(1, "click"), *[(n, "skip") for n in range(2, 40)], *[(n, "click") for n in range(40, 80)]]])
    assert len(find_pairs(log, 50).end) == 50
    assert len(find_pairs(log, 10**6).end) == 38 * 40


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 0.75), (-1.0, 0.25), (0.0, 0.5)])
def test_accuracy_is_a_mean_over_sessions_and_ties_count_half(sign: float, expected: float) -> None:
    one = [(1, "click"), (2, "skip"), (3, "click")]  # one pair, in order where larger ids score more
    two = [(1, "click"), (4, "skip"), (5, "click"), (3, "click")]  # two, one of them in order
    asked: list[list[int]] = []

    def scores(starts: NDArray[np.int64], ends: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        asked.append((ends - starts).tolist())
        return np.tile(sign * items.astype(np.float32), (len(ends), 1))

    found = pairwise_accuracy(scores, typed_log([one, two]))
    assert found == {"pairwise": pytest.approx(expected), "pairs": 3.0}
    assert asked == [[1, 1]]
