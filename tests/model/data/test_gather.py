"""Tests of `model.data.gather`: each function is what NumPy gives in one go, in parts."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.data import gather
from model.data.gather import counted, gather_ranges, places, taken

CODES = st.lists(st.integers(0, 6), max_size=40).map(lambda codes: np.array(codes, np.int32))


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "AT_ONCE", 3)
        yield


@given(CODES)
def test_taken_are_the_values_at_places(codes: NDArray[np.int32]) -> None:
    values = np.arange(7, dtype=np.float32) * 1.5
    assert taken(values, codes).tolist() == values[codes].tolist()
    assert taken(values, codes).dtype == np.float32


@given(CODES)
def test_codes_are_counted(codes: NDArray[np.int32]) -> None:
    assert counted(codes, 7).tolist() == np.bincount(codes, minlength=7).tolist()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=12))
def test_ranges_are_joined_in_their_order(ranges: list[tuple[int, int]]) -> None:
    starts, lengths = np.array(ranges, np.int64).reshape(-1, 2).T
    found = gather_ranges(starts, lengths)
    assert found.tolist() == [start + place for start, length in ranges for place in range(length)]
    assert found.dtype == np.int64


def test_places_take_32_bits_where_they_do() -> None:
    assert places(3).tolist() == [0, 1, 2]
    assert places(3).dtype == np.int32
