"""Compiled code is loaded before it is waited for; who compiles says so, and whether the next one has to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import export.dense.products
from export.scan.compiled import MADE
from export.scan.loading import load_scan

pytestmark = pytest.mark.program

MODULES = {True: "export.scan.kernel", False: "export.dense.layered"}
# A small function in the place of the scan's module, whose compilation takes half a minute
SAYS = """
import sys, types
from export.scan import loading
sys.path.insert(0, sys.argv[1])
loading.importlib = types.SimpleNamespace(import_module=lambda name: __import__("one_more"))
print(loading.load_scan(coded=True))
"""
ONE_MORE = """
from export.scan.compiled import compiled

@compiled("int64(int64)")
def one_more(number):
    return number + 1
"""


@pytest.mark.parametrize("coded", MODULES)
def test_each_kind_of_model_has_its_scan_loaded(monkeypatch: pytest.MonkeyPatch, coded: bool) -> None:
    names: list[str] = []
    monkeypatch.setattr("export.scan.loading.importlib.import_module", names.append)
    assert load_scan(coded=coded) == ""
    assert names == [MODULES[coded]]


def test_on_a_processor_without_its_instructions_the_dense_scan_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.scan.loading.importlib.import_module", lambda name: pytest.fail(name))
    for name in "HAS_AVX2", "HAS_VNNI":
        monkeypatch.setattr(export.dense.products, name, False)
    assert load_scan(coded=False) == ""


@pytest.mark.parametrize("module", ["export.scan.compiled", "export.scan.kernel"])
def test_without_numba_nothing_is_loaded_and_nothing_said(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert load_scan(coded=True) == ""


@pytest.mark.parametrize(("kept", "words"), [(True, "kept for the next process"), (False, "set NUMBA_CACHE_DIR")])
def test_what_is_compiled_is_told_with_whether_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, kept: bool, words: str
) -> None:
    def compiles(name: str) -> None:
        MADE[kept] += 1

    monkeypatch.setitem(MADE, kept, MADE[kept])
    monkeypatch.setattr("export.scan.loading.importlib.import_module", compiles)
    told = load_scan(coded=True)
    assert told.startswith("compiled what makes the lists, 0 s; it is kept")
    assert words in told


@pytest.mark.slow
def test_a_second_process_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "one_more.py").write_text(ONE_MORE)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    said = [
        subprocess.run(
            [sys.executable, "-c", SAYS, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said[0].endswith("kept for the next process on this machine")
    assert said[1] == ""
