"""Who may import what: a worker without torch, and names that are what the modules say they export."""

import importlib
import inspect
import subprocess
import sys

import pytest

MODULES = [
    "announcements",
    "click_rules",
    "config",
    "contract",
    "errors",
    "follower",
    "kafka",
    "metrics",
    "policy",
    "redis_sink",
    "replay",
    "schema",
    "session",
    "topics",
    "watch",
    "web",
]


def test_stream_imports_neither_torch_nor_the_model() -> None:
    names = ", ".join(f"stream.{module}" for module in MODULES)
    found = "sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'model', 'onnx', 'faust'})"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {names}; print({found})"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", MODULES)
def test_exports_are_the_public_names(module: str) -> None:
    loaded = importlib.import_module(f"stream.{module}")
    assert sorted(loaded.__all__) == sorted(set(loaded.__all__))
    defined = {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == loaded.__name__
    }
    assert defined <= set(loaded.__all__)
    assert all(hasattr(loaded, name) for name in loaded.__all__)
