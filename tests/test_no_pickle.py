"""Nothing that is read from outside may run code: no module of the product unpickles, evaluates or loads objects."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("stream", "model", "export", "bench")
FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FILES = sorted([ROOT / "nextclick.py", *(path for part in PARTS for path in (ROOT / part).rglob("*.py"))])
FOLDERS = sorted({path.parent for path in FILES})


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in FORBIDDEN)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _calls(node)


def _calls(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    told = ("weights_only", "allow_pickle")
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg in told}
    if name in ("eval", "exec", "__import__"):
        yield name
    if name == "torch.load" and options.get("weights_only") != "True":
        yield "torch.load without weights_only"
    if options.get("allow_pickle") == "True":
        yield f"{name} with allow_pickle"
    if name.endswith("read_pickle"):
        yield name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_modules_load_no_code_from_data(folder: Path) -> None:
    found = {path.name: list(offences(path.read_text())) for path in FILES if path.parent == folder}
    assert not {name: what for name, what in found.items() if what}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
        "import torch\ntorch.load('a')",
        "import pandas as pd\npd.read_pickle('a')",
        "eval('1')",
    ],
)
def test_offences_are_found(source: str) -> None:
    assert list(offences(source))
