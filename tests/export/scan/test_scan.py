"""Tests of export/scan: lists from codes are those of adding everything up, ids and order, whatever codes and books."""

import logging
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import export.scan
from bench.rig.coded import random_codes
from export.codes.codes import ItemCodes
from export.ranking.ragged import Ragged
from export.scan.plain import best_first, sums
from export.scan.scan import CodeScan


def of_one_item(bits: int) -> ItemCodes:
    return ItemCodes(np.zeros((2, 1), np.uint8), np.ones((1, 1 << bits, 1), np.float32))


WAYS = [(bits, way) for bits in (4, 8) for way in CodeScan(of_one_item(bits)).ways()]
every_way = pytest.mark.parametrize(("bits", "way"), WAYS)


def expected(codes: ItemCodes, table: NDArray[np.float32], k: int, out: list[int]) -> tuple[list[int], list[float]]:
    """Return the list of one session by adding everything up and sorting it all."""
    scores, excluded = sums(codes.codes[1:], table), set(out)
    every = np.lexsort((np.arange(len(scores)), -scores)).tolist()
    order = [place for place in every if place + 1 not in excluded][:k]
    short = k - len(order)
    return [place + 1 for place in order] + [0] * short, scores[order].tolist() + [-np.inf] * short


def check(scan: CodeScan, vectors: NDArray[np.float32], k: int, excluded: list[list[int]]) -> None:
    tables = scan.codes.table(vectors)
    ids, scores = scan.best(tables, k, Ragged.of([np.array(row, np.int32) for row in excluded]))
    assert ids.dtype == np.int32
    assert scores.dtype == np.float32
    assert ids.shape == scores.shape == (len(vectors), k)
    for row, table in enumerate(tables):
        found = ids[row].tolist(), scores[row].tolist()
        assert found == expected(scan.codes, table, k, excluded[row])


@every_way
@settings(max_examples=60, deadline=None)
@given(
    items=st.one_of(st.integers(1, 200), st.integers(1_000, 5_000)),
    splits=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    skew=st.sampled_from([0.0, 0.7]),
    kinds=st.sampled_from([0, 0, 1, 5]),
    k=st.one_of(st.integers(1, 30), st.integers(90, 300)),
    most_excluded=st.sampled_from([1, 60]),
)
def test_lists_are_those_of_brute_force(
    bits: int, way: str, items: int, splits: int, seed: int, skew: float, kinds: int, k: int, most_excluded: int
) -> None:
    codes = random_codes(items, splits=splits, bits=bits, seed=seed, skew=skew, kinds=kinds)
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((3, codes.hidden), dtype=np.float32)
    scan = CodeScan(codes, way=way)
    best = scan.best(codes.table(vectors), min(most_excluded, items))[0]
    excluded = [row[: random.integers(0, len(row) + 1)].tolist() for row in best]
    check(scan, vectors, k, [[*row, 0, *row] for row in excluded])  # padding and repeats say nothing


@every_way
def test_lists_of_a_larger_catalogue_in_threads(bits: int, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.scan.scan, "_SHARE", 512)
    codes = random_codes(80_000, splits=8, bits=bits, skew=0.3)
    vectors = np.random.default_rng(1).standard_normal((4, codes.hidden), dtype=np.float32)
    scan = CodeScan(codes, threads=2, way=way)
    assert scan.threads == 2
    check(scan, vectors, 20, [[], [1, 79_000], [5], list(range(1, 50_000, 7))])


@every_way
@pytest.mark.parametrize("vector", [[0.0] * 4, [1e-38] * 4, [1e18] * 4, [-1e18, 1e-6, 0.0, 3.0]])
def test_lists_of_vectors_of_any_size(bits: int, way: str, vector: list[float]) -> None:
    codes = random_codes(3_000, splits=2, bits=bits)
    check(CodeScan(codes, way=way), np.array([vector], np.float32), 20, [[3]])


@every_way
def test_equal_scores_are_listed_by_catalogue_id(bits: int, way: str) -> None:
    codes = ItemCodes(np.zeros((5_001, 3), np.uint8), np.ones((3, 1 << bits, 2), np.float32))
    scan = CodeScan(codes, way=way)
    ids, _ = scan.best(codes.table(np.ones((1, 6), np.float32)), 4, Ragged.of([np.array([2, 3], np.int32)]))
    assert ids.tolist() == [[1, 4, 5, 6]]


def test_deep_lists_are_sorted_and_hold_everything() -> None:
    codes = random_codes(2_500, splits=4, bits=8, kinds=40)
    check(CodeScan(codes), np.ones((2, 8), np.float32), 2_500, [[], [7, 2_400]])


@every_way
def test_scores_of_given_items_are_those_of_lists(bits: int, way: str) -> None:
    codes = random_codes(500, splits=5, bits=bits)
    scan = CodeScan(codes, way=way)
    tables = codes.table(np.random.default_rng(2).standard_normal((2, codes.hidden), dtype=np.float32))
    ids, scores = scan.best(tables, 500)
    also = scan.scores(tables, np.array([4, 0, 500, 4], np.int32))
    by_id = [dict(zip(*row, strict=True)) for row in zip(ids.tolist(), scores.tolist(), strict=True)]
    assert also.tolist() == [[row[4], -np.inf, row[500], row[4]] for row in by_id]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    codes = random_codes(10, splits=2, bits=8)
    vectors = np.array([[1.0, value, 0.0, 0.0]], np.float32)
    with pytest.raises(ValueError, match="not finite"):
        CodeScan(codes).best(codes.table(vectors), 3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sums_beyond_fp32_of_finite_partial_scores_are_refused(sign: float) -> None:
    scan = CodeScan(random_codes(10, splits=2, bits=8))
    tables = np.full((1, 2, 256), sign * 3e38, np.float32)
    for made in (lambda: scan.best(tables, 3), lambda: scan.scores(tables, np.array([1], np.int32))):
        with pytest.raises(ValueError, match="no numbers in fp32"):
            made()


def test_what_would_be_read_beyond_the_tables_is_refused() -> None:
    codes = random_codes(10, splits=2)
    scan, tables = CodeScan(codes), codes.table(np.ones((1, 4), np.float32))
    wrong: Any
    for wrong in (tables[:, :1], tables[:, :, :16], tables.astype(np.float64)):
        with pytest.raises(ValueError, match=r"must be float32 \(B, 2, 256\)"):
            scan.best(wrong, 3)
        with pytest.raises(ValueError, match="must be float32"):
            scan.scores(wrong, np.array([1], np.int32))
    for outside in (-1, 11):
        with pytest.raises(ValueError, match=r"1\.\.10"):
            scan.scores(tables, np.array([1, outside], np.int32))


def test_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="plain, not abacus"):
        CodeScan(random_codes(10, splits=2, bits=8), way="abacus")


def test_without_numba_numpy_makes_the_same_lists_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    codes = random_codes(5_000, splits=4, bits=4, kinds=300)
    monkeypatch.setitem(sys.modules, "export.scan.kernel", None)
    monkeypatch.delattr(export.scan, "kernel")
    with caplog.at_level(logging.WARNING):
        scan = CodeScan(codes)
    assert scan.ways() == ("numpy",)
    assert "pip install 'nextclick[codes]'" in caplog.text
    check(scan, np.ones((2, 8), np.float32), 20, [[], [9]])
    tables = codes.table(np.ones((1, 8), np.float32))
    found = scan.scores(tables, np.array([3, 0], np.int32))
    assert found.tolist() == [[sums(codes.codes[3:4], tables[0])[0], -np.inf]]


def test_best_first_breaks_ties_by_place() -> None:
    scores = np.array([1, 3, 3, 2] * 20, np.float32)
    assert best_first(scores, 5).tolist() == [1, 2, 5, 6, 9]
    assert best_first(scores, 80).tolist() == np.argsort(-scores, kind="stable").tolist()
