"""Tests of export/ranking/ragged.py against lists of lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bundle.vocabulary import PAD, Vocabulary
from export.ranking.ragged import Ragged, padded

rows_of = st.lists(st.lists(st.integers(1, 40), max_size=9), max_size=8)


def listed(ragged: Ragged) -> list[list[int]]:
    ends = np.cumsum(ragged.lengths).tolist()
    return [ragged.values[end - length : end].tolist() for end, length in zip(ends, ragged.lengths, strict=True)]


@given(rows_of, st.booleans())
def test_rows_laid_end_to_end_are_the_rows(rows: list[list[int]], arrays: bool) -> None:
    given_rows = [np.array(row, dtype=np.int64) for row in rows] if arrays else rows
    ragged = Ragged.of(given_rows)
    assert listed(ragged) == rows
    assert ragged.values.dtype == np.int32
    assert ragged.starts.tolist() == [sum(map(len, rows[:place])) for place in range(len(rows))]


def test_no_rows_and_empty_rows_hold_nothing() -> None:
    assert listed(Ragged.of([])) == []
    assert listed(Ragged.empty(2)) == [[], []]
    assert listed(Ragged.of([[], []])) == [[], []]


@given(rows_of, st.integers(1, 10))
def test_newest_cuts_each_row_from_its_front(rows: list[list[int]], count: int) -> None:
    assert listed(Ragged.of(rows).newest(count)) == [row[-count:] for row in rows]


@given(rows_of.filter(len), st.data())
def test_rows_chosen_come_in_the_order_chosen(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    assert listed(Ragged.of(rows).rows(np.array(chosen, dtype=np.int64))) == [rows[place] for place in chosen]


@given(st.lists(st.lists(st.sampled_from("abcxyz"), max_size=6), max_size=8))
def test_look_up_leaves_out_what_the_vocabulary_lacks(rows: list[list[str]]) -> None:
    expected = [["abc".index(item) + 1 for item in row if item in "abc"] for row in rows]
    assert listed(Ragged.look_up(Vocabulary("abc"), rows)) == expected


def test_look_up_takes_any_collection() -> None:
    assert listed(Ragged.look_up(Vocabulary("abc"), [{"b"}, ("c", "a"), frozenset(), "zb"])) == [[2], [3, 1], [], [2]]


@given(rows_of.filter(len))
def test_padded_fills_on_the_right(rows: list[list[int]]) -> None:
    longest = max(1, *map(len, rows))
    assert Ragged.of(rows).padded().tolist() == [row + [PAD] * (longest - len(row)) for row in rows]


@pytest.mark.parametrize(("lengths", "expected"), [([2, 2], [[1, 2], [3, 4]]), ([3, 1], [[1, 2, 3], [4, PAD, PAD]])])
def test_padded_of_values_and_lengths(lengths: list[int], expected: list[list[int]]) -> None:
    assert padded(np.array([1, 2, 3, 4], np.int32), np.array(lengths)).tolist() == expected
