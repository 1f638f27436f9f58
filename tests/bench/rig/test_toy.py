"""Graphs of toy models are kept, and made anew once anything changes that makes them."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

from bench.rig import toy


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


def graph(items: int) -> Path:
    return toy.toy_graph.__wrapped__(items)  # as another process asks for it


def test_toy_graph_is_exported_once(exported: list[int]) -> None:
    assert graph(3) == graph(3)
    assert graph(3) != graph(4)
    assert exported == [3, 4]


def test_toy_graph_is_exported_anew_by_another_version_of_a_library(
    exported: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph(3)
    monkeypatch.setattr(toy, "version", lambda name: "0.1" if name == "onnxscript" else "1")
    graph(3)
    assert exported == [3, 3]


def test_toy_graph_is_exported_anew_by_other_code(tmp_path: Path) -> None:
    (tmp_path / "topk.py").write_text("one")
    before = toy._maker([tmp_path / "topk.py"])
    (tmp_path / "topk.py").write_text("other")
    assert toy._maker([tmp_path / "topk.py"]) != before
    assert {path.name for path in toy._SOURCES} >= {"toy.py", "topk.py", "onnx.py", "int8.py"}
