"""Tests of export/scan/loading.py: compiled code is loaded before it is waited for, and what took a while is told."""

from __future__ import annotations

import sys

import pytest

from export.scan.loading import load_scan

MODULES = ("export.scan.kernel", "export.dense.kernel", "export.dense.layered")
ASKED = [
    ({"coded": True}, MODULES[0]),
    ({"coded": False, "layered": False}, MODULES[1]),
    ({"coded": False}, MODULES[2]),
]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr("export.scan.loading.importlib.import_module", names.append)
    return names


@pytest.mark.parametrize(("asked", "module"), ASKED)
def test_what_is_loaded_is_what_such_a_model_needs(loaded: list[str], asked: dict[str, bool], module: str) -> None:
    assert load_scan(**asked, clock=iter([0.0, 0.5]).__next__) == ""
    assert loaded == [module]


def test_a_first_process_says_how_long_it_compiled(loaded: list[str]) -> None:
    assert load_scan(coded=False, clock=iter([5.0, 19.4]).__next__).startswith("what makes the lists, 14 s; kept")


@pytest.mark.parametrize("module", MODULES)
def test_there_is_each_of_these_modules(module: str) -> None:
    __import__(module)
    assert module in sys.modules


def test_without_numba_nothing_is_loaded_and_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "export.dense.layered", None)
    assert load_scan(coded=False) == ""
