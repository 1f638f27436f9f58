"""Tests of export/dense: lists are those of multiplying everything in fp32: ids, order and scores."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import export.dense.scan
from bench.rig.multiplied import best_of, products
from export.dense import kernel
from export.dense.scan import DenseScan
from export.ranking.ragged import Ragged

every_way = pytest.mark.parametrize("way", kernel.ways())
pytestmark = [pytest.mark.skipif(not kernel.ways(), reason="this processor has no AVX2"), pytest.mark.program]


def random_tables(items: int, *widths: int, seed: int = 0, kinds: int = 0) -> list[NDArray[np.float32]]:
    """Return tables of normal numbers, some of them far longer than others; kinds: how many different items."""
    random = np.random.default_rng(seed)
    lengths = np.exp(random.standard_normal((items + 1, 1))).astype(np.float32)
    which = random.integers(0, min(kinds, items), items + 1) if kinds else np.arange(items + 1)
    return [(random.standard_normal((items + 1, width), dtype=np.float32) * lengths)[which] for width in widths]


def check(scan: DenseScan, tables: list[NDArray[np.float32]], vectors: Any, k: int, excluded: list[Any]) -> None:
    ids, scores = scan.best(vectors, k, Ragged.of([np.array(row, np.int32) for row in excluded]))
    assert ids.dtype == np.int32
    assert scores.dtype == np.float32
    assert ids.shape == scores.shape == (len(vectors), k)
    for row, vector in enumerate(vectors):
        places, expected = best_of(products(tables, vector), k, excluded[row])
        assert ids[row].tolist() == (places + 1).tolist()
        assert scores[row].tolist() == expected.tolist()


@every_way
@settings(max_examples=40, deadline=None)
@given(
    items=st.one_of(st.integers(1, 200), st.integers(1_000, 4_000)),
    widths=st.lists(st.integers(1, 50), min_size=1, max_size=3),
    batch=st.integers(1, 6),
    seed=st.integers(0, 2**31),
    kinds=st.sampled_from([0, 0, 1, 30]),
    k=st.one_of(st.integers(1, 30), st.integers(90, 700)),
    most_excluded=st.sampled_from([1, 60]),
)
def test_lists_are_those_of_multiplying_everything(
    way: str, items: int, widths: list[int], batch: int, seed: int, kinds: int, k: int, most_excluded: int
) -> None:
    tables = random_tables(items, *widths, seed=seed, kinds=kinds)
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((batch, sum(widths)), dtype=np.float32)
    scan = DenseScan(tables, way=way)
    best = scan.best(vectors, min(most_excluded, items))[0]
    excluded = [row[: random.integers(0, len(row) + 1)].tolist() for row in best]
    check(scan, tables, vectors, k, [[*row, 0, *row] for row in excluded])  # padding and repeats say nothing


@every_way
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_threads_share_items_or_sessions(way: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.dense.scan, "_BLOCKS", 20)
    tables = random_tables(5_000, 24)
    vectors = np.random.default_rng(1).standard_normal((batch, 24), dtype=np.float32)
    excluded: list[Any] = [[], [1, 4_999], list(range(1, 5_000, 7))] * batch
    check(DenseScan(tables, threads=3, way=way), tables, vectors, 20, excluded[:batch])


@every_way
@pytest.mark.parametrize("vector", [[0.0] * 4, [1e-38] * 4, [1e30] * 4, [-1e18, 1e-6, 0.0, 3.0]])
def test_vectors_of_any_size(way: str, vector: list[float]) -> None:
    tables = random_tables(3_000, 4)
    check(DenseScan(tables, way=way), tables, np.array([vector], np.float32), 20, [[3]])


@every_way
def test_numbers_at_the_ends_of_bytes_add_up(way: str) -> None:
    """All products as large as bytes make them, of either sign: sums of pairs in 16 bits would overflow first here."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (600, 200)).astype(np.float32)
    signs[5], signs[6] = 1.0, -1.0
    check(DenseScan([signs], way=way), [signs], signs[5:8], 10, [[], [5], []])


@every_way
def test_items_that_nearly_tie_are_all_multiplied(way: str) -> None:
    """More items than there is room for lie within the bound: the list is that of all."""
    random = np.random.default_rng(0)
    table = np.ones((6_000, 8), np.float32) + 1e-6 * random.standard_normal((6_000, 8), dtype=np.float32)
    check(DenseScan([table], way=way), [table], np.ones((2, 8), np.float32), 20, [[], [17]])


@every_way
def test_scores_of_given_items_are_those_of_lists(way: str) -> None:
    scan = DenseScan(random_tables(500, 20, 13), way=way)
    vectors = np.random.default_rng(2).standard_normal((2, 33), dtype=np.float32)
    ids, scores = scan.best(vectors, 20)
    by_id = [dict(zip(*row, strict=True)) for row in zip(ids.tolist(), scores.tolist(), strict=True)]
    for row, known in enumerate(by_id):
        also = scan.scores(vectors, np.array([0, *known], np.int32))
        assert also[row].tolist() == [-np.inf, *known.values()]


def test_tables_that_no_memory_is_aligned_for_are_read() -> None:
    (table,) = random_tables(300, 9)
    bytes_ = np.frombuffer(b"xyz" + table.tobytes(), np.uint8)[3:]
    odd = np.ndarray(table.shape, np.float32, bytes_)  # as one within a file may lie
    check(DenseScan([odd]), [table], table[1:3], 10, [[], []])


def test_what_is_no_number_is_refused() -> None:
    scan = DenseScan(random_tables(10, 2))
    with pytest.raises(ValueError, match="not finite"):
        scan.best(np.array([[1.0, np.nan]], np.float32), 3)
    with pytest.raises(ValueError, match="no numbers in fp32"):
        scan.scores(np.array([[1.0, 3e38]], np.float32), np.array([1], np.int32))
    with pytest.raises(ValueError, match="item table holds numbers that are not finite"):
        DenseScan([np.full((3, 2), np.inf, np.float32)])


def test_what_would_be_read_beyond_the_tables_is_refused() -> None:
    scan = DenseScan(random_tables(10, 2))
    wrong: Any
    for wrong in (np.ones((1, 3), np.float32), np.ones((1, 2))):
        with pytest.raises(ValueError, match=r"must be float32 \(B, 2\)"):
            scan.best(wrong, 3)
    for outside in (-1, 11):
        with pytest.raises(ValueError, match=r"1\.\.10"):
            scan.scores(np.ones((1, 2), np.float32), np.array([1, outside], np.int32))
    with pytest.raises(ValueError, match="not abacus"):
        DenseScan(random_tables(10, 2), way="abacus")
