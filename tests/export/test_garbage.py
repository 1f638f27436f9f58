"""Tests of export/garbage.py."""

import gc
from collections.abc import Iterator

import pytest

from export.garbage import uncollected


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    collecting = gc.isenabled()
    yield
    (gc.enable if collecting else gc.disable)()


def test_garbage_is_collected_again_behind_the_block_whatever_ends_it() -> None:
    def fail() -> None:
        with uncollected():
            assert not gc.isenabled()
            raise KeyError

    gc.enable()
    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_who_collects_none_is_left_alone() -> None:
    gc.disable()
    with uncollected():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_what_stays_is_not_looked_at_again() -> None:
    def is_looked_at(one: object) -> bool:
        return any(another is one for another in gc.get_objects())

    with uncollected():
        short: list[object] = []
    assert is_looked_at(short)
    with uncollected(stays=True):
        lasting: list[object] = []
    assert not is_looked_at(lasting)
