"""What lists are like, beside the same by hand."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from export.bundle.vocabulary import Vocabulary
from model.data.log import SessionLog
from model.evaluate.lists import ListFigures, bands_by_clicks
from tests.model.tiny import tiny_log


def log_of(*sessions: str) -> SessionLog:
    vocabulary = Vocabulary("abcdef")
    items = np.array([vocabulary.index(item) for session in sessions for item in session], np.int32)
    offsets = np.cumsum([0, *map(len, sessions)]).astype(np.int64)
    return SessionLog(items=items, offsets=offsets, ts=np.arange(len(items)), vocabulary=vocabulary)


CLICKS = np.array([4, 2, 1, 1, 0, 0], np.int64)


def test_bands_by_clicks_are_of_shares_of_the_clicks() -> None:
    assert bands_by_clicks(CLICKS).tolist() == [0, 1, 1, 2, 2, 2]
    assert bands_by_clicks(np.array([1, 10, 0])).tolist() == [2, 0, 2]
    assert bands_by_clicks(np.zeros(2, np.int64)).tolist() == [2, 2]


def test_list_figures_by_hand() -> None:
    figures = ListFigures(CLICKS, log_of("abb", "ab", "ac", "cd"), (1, 3), predictions=2)
    figures.add(np.array([[1, 2, 3], [5, 1, 0]]))  # a b c, and e a
    found = figures.result()
    bits = {item: -np.log2((count + 1) / 14) for item, count in zip("abcdef", CLICKS.tolist(), strict=True)}
    assert found["novelty@1"] == pytest.approx((bits["a"] + bits["e"]) / 2)
    assert found["novelty@3"] == pytest.approx((2 * bits["a"] + bits["b"] + bits["c"] + bits["e"]) / 5)
    assert found["popularity_share@1"] == 0.5
    assert found["popularity_share@3"] == pytest.approx(2 / 5)
    of = {"a": {0, 1, 2}, "b": {0, 1}, "c": {2, 3}, "e": set()}

    def distance(items: str) -> float:
        far = [1 - len(of[x] & of[y]) / max(1, len(of[x]) * len(of[y])) ** 0.5 for x, y in combinations(items, 2)]
        return float(np.mean(far))

    assert found["diversity@3"] == pytest.approx((distance("abc") + distance("ea")) / 2)
    assert found["diversity@1"] == 0.0  # no pair


def test_list_figures_are_the_same_in_any_batches() -> None:
    log = tiny_log(60)
    rng = np.random.default_rng(0)
    lists = rng.permuted(np.tile(np.arange(1, 41), (500, 1)), axis=1)[:, :20]
    found = []
    for size in (500, 37):
        figures = ListFigures(log.popularity(), log, (5, 20), predictions=500)
        for first in range(0, 500, size):
            figures.add(lists[first : first + size])
        found.append(figures.result())
    assert found[0] == pytest.approx(found[1])
    assert all(value > 0 for value in found[0].values())


def test_list_figures_measure_diversity_of_some_lists_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.evaluate.lists.LISTS", 10)
    figures = ListFigures(CLICKS, log_of("ab", "ab"), (2,), predictions=30)
    asked: list[list[int]] = []

    def distance(row: NDArray[np.int64]) -> float:
        asked.append(row.tolist())
        return 1.0

    monkeypatch.setattr(figures._alike, "distance", distance)
    lists = np.array([[1 + place % 6, 1] for place in range(30)])
    for part in np.split(lists, 6):
        figures.add(part)
    assert asked == lists[::3].tolist()
