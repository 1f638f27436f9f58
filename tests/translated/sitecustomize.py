"""In each Python process that a test starts: what it translates for ONNX is translated once a run, as in the tests' own
processes (tests/model/graphs.py).

Python imports a module of this name when it starts, from a folder that the fixture `translated_children` puts on
PYTHONPATH. It does nothing until the exporter is imported.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_EXPORTER = "export.graph.onnx"
_FOLDER = os.environ.get("TRANSLATIONS_OF_TESTS")


class _Finder(MetaPathFinder):
    """Finds the exporter once, as whoever comes next does, and has it translate by way of the folder."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _EXPORTER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None, "whoever asks can import it"
        assert spec.loader is not None, "it is a file"
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch(exporter: ModuleType) -> None:
    real = exporter._translate

    def translate(serving: Any, window: int) -> Any:
        sys.path.append(str(Path(__file__).parents[2]))
        from tests.model.graphs import Translations

        assert _FOLDER is not None, "else this is not called"
        exporter._translate = Translations(real, Path(_FOLDER))  # type: ignore[attr-defined]
        return exporter._translate(serving, window)

    exporter._translate = translate  # type: ignore[attr-defined]


if _FOLDER is not None:
    sys.meta_path.insert(0, _Finder())
