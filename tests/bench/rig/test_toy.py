"""Graphs of toy models are kept, and made anew once anything changes that makes them."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

import onnx

from bench.rig import toy
from export.graph.onnx import export_onnx


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of items of the graphs exported, which are none; what was kept before is not known."""
    made: list[int] = []

    def export(model: toy.ToyServing, path: Path, *, window: int) -> None:
        made.append(len(model.table) - 1)
        path.write_bytes(b"graph")

    monkeypatch.setattr(toy, "export_onnx", export)
    monkeypatch.setattr(toy, "_KEPT", tmp_path)
    return made


def graph() -> Path:
    return toy.toy_graph.__wrapped__()  # as another process asks for it


def test_toy_graph_is_exported_once(exported: list[int]) -> None:
    assert graph() == graph()
    assert exported == [toy.ITEMS]


@pytest.mark.slow
def test_toy_graph_of_another_size_is_not_exported_and_has_the_bytes_of_one_that_is_but_for_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = toy.toy_graph().read_bytes()
    monkeypatch.setattr(toy, "_KEPT", tmp_path)
    made: list[int] = []

    def export(model: toy.ToyServing, path: Path, *, window: int) -> None:
        made.append(len(model.table) - 1)
        path.write_bytes(usual)

    monkeypatch.setattr(toy, "export_onnx", export)
    other = toy.toy_graph.__wrapped__(9, 3)
    assert made in ([], [toy.ITEMS])
    real = tmp_path / "real.onnx"
    export_onnx(toy.ToyServing(9, seed=3), real, window=toy.WINDOW)
    found, wanted = onnx.load(other), onnx.load(real)
    del wanted.graph.value_info[:]
    assert found.SerializeToString(deterministic=True) == wanted.SerializeToString(deterministic=True)


def test_toy_graph_is_exported_anew_by_another_version_of_a_library(
    exported: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph()
    monkeypatch.setattr(toy, "version", lambda name: "0.1" if name == "onnxscript" else "1")
    graph()
    assert exported == [toy.ITEMS] * 2


def test_toy_graph_is_exported_anew_by_other_code(tmp_path: Path) -> None:
    (tmp_path / "topk.py").write_text("one")
    before = toy._maker([tmp_path / "topk.py"])
    (tmp_path / "topk.py").write_text("other")
    assert toy._maker([tmp_path / "topk.py"]) != before
    assert {path.name for path in toy._SOURCES} >= {"toy.py", "topk.py", "onnx.py", "int8.py"}
