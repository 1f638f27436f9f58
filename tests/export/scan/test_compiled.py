"""Tests of export/scan/compiled.py: compiled code is kept for the sources it was made of, and for no others."""

import gc
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from numba import njit

import export
from export.scan import compiled
from export.scan.compiled import _FOLDERS, _keep_by

pytestmark = pytest.mark.program


def written(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function of a module that lies at a path, and can be imported, as kept code asks for it."""
    path.write_text("def one_more(number):\n    return number + 1\n")
    spec = importlib.util.spec_from_file_location("of_a_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.one_more


def test_what_was_compiled_of_other_sources_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = written(tmp_path / "of_a_test.py", monkeypatch)
    for texts, kept in (("as they were", 0), ("as they were", 1), ("as they are", 0)):
        gc.collect()  # what is kept finds nothing of the one before in memory
        found = njit(cache=True)(function)
        _keep_by(found, texts)
        assert found(1) == 2
        assert sum(found.stats.cache_hits.values()) == kept


def test_all_that_is_compiled_into_each_other_lies_where_its_sources_are_looked_at() -> None:
    root = Path(export.__file__).parents[1]
    users = [
        path
        for part in ("export", "model", "stream")
        for path in (root / part).rglob("*.py")
        if re.search(rf"import (\w+, )*{compiled.compiled.__name__}\n", path.read_text())
    ]
    assert users
    assert {path.parent for path in users} <= {root / "export" / folder for folder in _FOLDERS}
