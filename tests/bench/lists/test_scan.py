"""Tests of bench/lists/scan.py."""

import sys
from typing import Any

import pytest

from bench.lists import scan
from export.scan.scan import CodeScan


def args_of(monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["bench.lists.scan", *options])
    return scan.parse()


def test_lists_are_timed_beside_the_dense_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PREPARED", 20)
    args = args_of(monkeypatch, "--form", "16x4", "--codes", "svd", "--batch", "1", "4", "--seconds", "0")
    rows = list(scan.measure(500, args))
    assert [(row["way"], row["batch"]) for row in rows[:2]] == [("dense", 1), ("dense", 4)]
    assert {row["batch"] for row in rows[2:]} == {1, 4}
    assert all(row["ms"] >= 0 and row["form"] == "16x4" for row in rows)


def test_lists_that_are_not_those_of_adding_everything_up_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PREPARED", 10)
    args = args_of(monkeypatch, "--form", "8x8", "--codes", "random", "--check", "6")
    assert [(row["lists"], row["wrong"]) for row in scan.measure(500, args)] == [(6, 0)]
    best = CodeScan.best
    monkeypatch.setattr(CodeScan, "best", lambda self, tables, k, out: best(self, -tables, k, out))
    assert [(row["lists"], row["wrong"]) for row in scan.measure(500, args)] == [(6, 6)]
