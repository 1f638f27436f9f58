"""Who may import what, checked for every module there is; and names that are what the modules say they export."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("stream", "model", "export", "demo", "cli")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for part in PARTS
    for path in (ROOT / part).rglob("*.py")
    if path.name != "__init__.py"
)
FOLDERS = sorted(
    {module.rpartition(".")[0] for module in MODULES}
)  # a test each: one a module, they cost more than they do
# What a module of a part may not import, wherever in the module it stands
FORBIDDEN = {
    "stream": {"torch", "onnx", "onnxscript", "model", "demo", "cli", "bench", "tests"},
    "export": {"stream", "model", "demo", "cli", "bench", "tests", "faust", "aiokafka", "confluent_kafka"},
    "model": {"stream", "demo", "cli", "bench", "tests", "faust", "aiokafka", "confluent_kafka"},
    "demo": {"cli", "bench", "tests"},
    "cli": {"bench", "tests"},
}
TORCH_FREE = (
    "stream",
    "export.bundle",
    "export.codes",
    "export.dense",
    "export.experiments",
    "export.items",
    "export.registry",
    "export.ranking",
    "export.scan",
    "export.errors",
    "model.cycle.config",
    "model.data",
    "model.trainer",
    "demo",
)


def modules(folder: str) -> list[str]:
    """Those that stand in it, not deeper."""
    return [module for module in MODULES if module.rpartition(".")[0] == folder]


def source(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that `module` imports, those inside functions too."""
    nodes = list(ast.walk(ast.parse(source(module).read_text())))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert not any(node.level for node in froms), f"{module}: imports are written out in full"
    plain = (alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names)
    return frozenset((*plain, *(node.module or "" for node in froms)))


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_import_only_what_their_part_may(folder: str) -> None:
    for module in modules(folder):
        found = {name.split(".")[0] for name in imports(module)}
        assert not found & FORBIDDEN[module.split(".")[0]], module


@pytest.mark.parametrize("folder", [name for name in FOLDERS if re.match(r"stream\b(?!\.faust\b)", name)])
def test_faust_is_overridden_in_one_folder(folder: str) -> None:
    for module in modules(folder):
        seams = {name for name in imports(module) if name.split(".")[0] in ("faust", "mode", "aiokafka")}
        assert seams <= {"faust.types", "aiokafka.errors"}, module  # a name and an error; no class of theirs


@pytest.mark.slow
def test_worker_readers_and_trainer_load_without_torch_and_the_model() -> None:
    names = [module for module in MODULES if module.startswith(TORCH_FREE)]
    lines = ("import sys, stream.worker", "print('redis' in sys.modules)", f"import {', '.join(names)}")
    program = "\n".join((*lines, "print('torch' in sys.modules)"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    redis, torch = done.stdout.splitlines()
    assert torch == "False"
    assert redis == "False", "it takes a tenth of a worker's start, and is for those that have a Redis"


@pytest.mark.parametrize("folder", FOLDERS)
def test_exports_are_the_public_names(folder: str) -> None:
    for module in modules(folder):
        loaded = importlib.import_module(module)
        if not hasattr(loaded, "__all__"):
            pytest.fail(f"{module} says nothing of what it exports")
        assert len(loaded.__all__) == len(set(loaded.__all__)), module
        defined = {
            name
            for name, value in vars(loaded).items()
            if not name.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__ == loaded.__name__
        }
        assert defined <= set(loaded.__all__), module
        assert all(hasattr(loaded, name) for name in loaded.__all__), module


@pytest.mark.parametrize("part", PARTS)
def test_part_says_that_its_types_can_be_relied_on_and_ships_so(part: str) -> None:
    assert (ROOT / part / "py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["package-data"]["*"] == ["py.typed"]
