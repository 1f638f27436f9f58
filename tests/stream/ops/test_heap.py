"""Tests of stream/ops/heap.py: memory goes back where the C library can, and nothing happens where it can't."""

import pytest

from stream.ops import heap


def test_memory_is_given_back_or_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    monkeypatch.setattr(heap, "_malloc_trim", called.append)
    heap.give_back_memory()
    assert called == [0]
    monkeypatch.setattr(heap, "_malloc_trim", None)
    heap.give_back_memory()


def test_other_c_libraries_have_no_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert heap._trim() is None
