"""Tests of model/after/pairs.py: the counts are those of a loop over all pairs, however they are cut into parts."""

import tracemalloc

import numpy as np
import pytest

from model.after import pairs
from model.after.pairs import PRIOR, best_neighbours, every_neighbour
from model.data.log import SessionLog
from model.data.near_clicks import APART
from tests.model.logs import random_log
from tests.model.tiny import ITEMS, tiny_log


def counted(log: SessionLog, backward: float) -> np.ndarray:
    """Rows of shares by a plain loop."""
    found = np.zeros((ITEMS + 1, ITEMS + 1))
    for number in range(log.sessions):
        clicks = log.session(number)
        for first in range(len(clicks)):
            for second in range(first + 1, min(len(clicks), first + APART + 1)):
                found[clicks[first], clicks[second]] += 1 / (second - first)
                found[clicks[second], clicks[first]] += backward / (second - first)
    shares: np.ndarray = found / (found.sum(axis=1, keepdims=True) + PRIOR)
    return shares


@pytest.mark.parametrize("backward", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("small", [False, True], ids=["in one go", "in many parts"])
def test_neighbours_are_the_best_of_every_pair(backward: float, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if small:
        monkeypatch.setattr(pairs, "CLICKS", 50)
        monkeypatch.setattr(pairs, "PAIRS", 300)
        monkeypatch.setattr(pairs, "SORTED", 40)
    monkeypatch.setattr(pairs, "NEIGHBOURS", 7)
    log = tiny_log(longest=15)
    table, shares = every_neighbour(log, backward), counted(log, backward)
    assert table.ids.shape == (ITEMS + 1, 7)
    assert not table.ids[0].any()
    for row in range(1, ITEMS + 1):
        best = np.sort(shares[row])[::-1][:7]
        np.testing.assert_allclose(table.weights[row], best, rtol=1e-5)
        named = table.ids[row] > 0
        np.testing.assert_allclose(shares[row, table.ids[row][named]], table.weights[row][named], rtol=1e-5)


def test_rows_asked_for_are_those_of_the_whole_table() -> None:
    log, rows = tiny_log(), np.array([3, 17, 40])
    for weight, found in zip((0.0, 1.0), best_neighbours(log, rows, (0.0, 1.0)), strict=True):
        whole = every_neighbour(log, weight)
        width = whole.ids.shape[1]
        assert (found.ids[:, :width] == whole.ids[rows]).all()
        np.testing.assert_allclose(found.weights[:, :width], whole.weights[rows], rtol=1e-6)


def test_counting_takes_little_more_memory_than_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    items, sessions = 3_000, 15_000
    log = random_log(items, sessions, length=8)
    monkeypatch.setattr(pairs, "CLICKS", 1 << 13)
    monkeypatch.setattr(pairs, "SORTED", 1 << 13)
    monkeypatch.setattr(pairs, "NEIGHBOURS", 10)
    counts = 2 * 8 * 28 * sessions  # bytes: both ways, of 28 pairs a session, few of which are alike
    tracemalloc.start()
    best_neighbours(log, np.arange(1, items + 1), (0.0, 0.3, 1.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.4 * counts
