"""What is clicked together: as counted click by click, whatever the blocks, in the memory of the counts alone."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from model.data.log import SessionLog
from model.data.near_clicks import APART
from model.learn.warm import counts
from model.learn.warm.counts import Together, counted_together
from tests.model.logs import random_log, session_log


def whole(found: Together) -> sparse.csr_array:
    return sparse.vstack([block for _, block in found.rows()], format="csr")


def by_hand(log: SessionLog) -> NDArray[np.float64]:
    found = np.zeros((len(log.vocabulary) + 1,) * 2)
    for number in range(log.sessions):
        clicks = log.session(number)
        for place, one in enumerate(clicks):
            for apart, other in enumerate(clicks[place + 1 : place + 1 + APART], start=1):
                found[one, other] += (one != other) / apart
                found[other, one] += (one != other) / apart
    return found


def some_log(sessions: int, items: int, seed: int = 0) -> SessionLog:
    random = np.random.default_rng(seed)
    return session_log([random.integers(1, items + 1, random.integers(2, 15)).tolist() for _ in range(sessions)], items)


@pytest.mark.parametrize("items", [2, 9, 40])
def test_both_ways_are_counted_by_distance(items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = some_log(60, items)
    monkeypatch.setattr(counts, "CLICKS", 50)  # of several parts
    found = whole(counted_together(log))
    assert found.toarray() == pytest.approx(by_hand(log), abs=1e-5)
    assert (found.data > 0).all(), "nothing is kept that is 0"
    assert found.has_sorted_indices


def test_blocks_say_what_one_matrix_says() -> None:
    log = some_log(200, 30)
    found = counted_together(log)
    one, thin = whole(found), np.random.default_rng(1).standard_normal((31, 4), dtype=np.float32)
    assert len(found.blocks) > 4
    assert np.array_equal(found.sums(), np.asarray(one.sum(axis=1)).ravel())
    assert np.array_equal(found.product(thin), one @ thin)
    root = np.arange(1, 32, dtype=np.float32)
    found.divide(root)
    assert whole(found).toarray() == pytest.approx(one.toarray() / np.outer(root, root))


def test_columns_take_16_bits_where_the_catalogue_lets_them() -> None:
    for items, kind in ((9, np.uint16), ((1 << 16) - 1, np.uint16), (1 << 16, np.int32)):
        found = counted_together(session_log([[1, items], [2, 3, items]], items=items))
        assert {block.columns.dtype for block in found.blocks} == {np.dtype(kind)}
        assert whole(found)[[items]].toarray()[0, [1, 3]].tolist() == [1.0, 1.0]


def test_item_clicked_beside_no_other_has_no_counts() -> None:
    found = whole(counted_together(session_log([[1, 1, 1], [2, 3]], items=4)))
    assert found.nnz == 2


def test_counts_take_little_more_memory_than_they_have_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log(items=3_000, sessions=15_000, length=8)
    monkeypatch.setattr(counts, "CLICKS", 1 << 13)
    tracemalloc.start()
    found = counted_together(log)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * 8 * sum(len(block.values) for block in found.blocks)  # in one piece of 64 bits it would be 3.1
