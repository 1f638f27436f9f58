"""Pairs of clicks near each other: those of a loop over all of them, for the first of both or for the second."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from model.data.near_clicks import APART, near_pairs, summed


def some_clicks(sessions: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    random = np.random.default_rng(3)
    lengths = random.integers(1, 15, sessions)
    session = np.repeat(np.arange(sessions, dtype=np.int32), lengths)
    return random.integers(1, 8, len(session)).astype(np.int32), session


def by_hand(
    clicks: NDArray[np.int32], session: NDArray[np.int32], wanted: NDArray[np.bool_], turned: bool
) -> list[tuple[np.int32, np.int32, np.float32]]:
    found = []
    for first in range(len(clicks)):
        for second in range(first + 1, min(len(clicks), first + APART + 1)):
            own, other = (second, first) if turned else (first, second)
            if session[first] == session[second] and wanted[own]:
                found.append((clicks[own], clicks[other], np.float32(1 / (second - first))))
    return sorted(found)


@pytest.mark.parametrize("turned", [False, True], ids=["for the first", "for the second"])
@pytest.mark.parametrize("some", [False, True], ids=["all", "those wanted"])
def test_pairs_are_those_of_a_loop(turned: bool, some: bool) -> None:
    clicks, session = some_clicks(20)
    wanted = clicks % 3 == 1 if some else np.ones(len(clicks), np.bool_)
    found = near_pairs(clicks, session, wanted if some else None, turned=turned)
    assert sorted(zip(*found, strict=True)) == by_hand(clicks, session, wanted, turned)
    assert [column.dtype for column in found] == [np.int32, np.int32, np.float32]


@pytest.mark.parametrize("clicks", [[], [4], [4, 5]], ids=["none", "one", "two, of two sessions"])
def test_clicks_without_neighbours_make_no_pair(clicks: list[int]) -> None:
    found = near_pairs(np.array(clicks, np.int32), np.arange(len(clicks), dtype=np.int32))
    assert [len(column) for column in found] == [0, 0, 0]


def test_sum_has_arrays_of_its_own_size() -> None:
    both = [sparse.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]], np.float32)) for _ in range(2)]
    total = summed(*both)
    assert total.toarray().tolist() == [[2.0, 0.0, 4.0], [0.0, 6.0, 0.0]]
    assert total.data.base is None
    assert total.indices.base is None
    assert len(total.data) == len(total.indices) == 3
