"""Tests of export/graph/choice.py: int8 scoring is taken where it was seen to give the same lists, and only there."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.rig.toy import ToyServing
from export.errors import ParityError
from export.graph import choice
from export.graph.choice import LEAST_IDENTICAL, LEAST_SESSIONS, MARGINS, describe, export_chosen
from export.graph.onnx import export_onnx
from export.graph.parity import check_parity

pytestmark = pytest.mark.slow

V, WINDOW, K = 4_096, 6, 10


def sessions(count: int = LEAST_SESSIONS) -> list[NDArray[np.int32]]:
    random = np.random.default_rng(0)
    return [random.integers(1, V, random.integers(1, WINDOW + 1), dtype=np.int32) for _ in range(count)]


def toy(margin: int | None) -> ToyServing:
    return ToyServing(items=V, hidden=32, margin=margin)


class Missing(ToyServing):
    """An int8 model that loses the best item of a share of all sessions, those with an even first item id."""

    def forward(
        self, ids: Tensor, exclude: Tensor, k: Tensor, also: Tensor, away: Tensor, push: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        lost = self.lists(ids, exclude, k)[0][:, :1] * (ids[:, :1] % 2 == 0)
        return super().forward(ids, torch.cat([exclude, lost.to(torch.int32)], dim=1), k, also, away, push)


def missing(margin: int | None) -> ToyServing:
    return toy(None) if margin is None else Missing(items=V, hidden=32, margin=margin)


def chosen(path: Path, build: Any = toy, **changes: Any) -> dict[str, Any]:
    sizes: dict[str, Any] = {"window": WINDOW, "items": V, "k": K, "sessions": sessions()}
    return export_chosen(build, path, **{**sizes, **changes})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[object, ...], Path]:
    """The graphs made so far."""
    return {(): tmp_path_factory.mktemp("graphs")}


@pytest.fixture(autouse=True)
def export_once(exported: dict[tuple[object, ...], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes seconds, and gives the same graph each time: test_onnx.py compares the bytes."""

    def export(module: ToyServing, path: Path, *, window: int) -> None:
        of = (type(module), type(module.head), module.table.shape, getattr(module.head, "margin", None), window)
        if of not in exported:
            kept = exported[()] / str(len(exported))
            kept.mkdir()
            export_onnx(module, kept / path.name, window=window)
            exported[of] = kept / path.name
        shutil.copyfile(exported[of], path)

    monkeypatch.setattr(choice, "export_onnx", export)


def in_int8(path: Path) -> bool:
    return any(node.op_type == "DequantizeLinear" for node in onnx.load(path).graph.node)


def test_int8_that_gives_the_same_lists_is_chosen_and_the_manifest_says_so(tmp_path: Path) -> None:
    parity = chosen(tmp_path / "model.onnx")
    assert in_int8(tmp_path / "model.onnx")
    assert (parity["scoring"], parity["margin"]) == ("int8", MARGINS[0])
    assert (parity["identical_of"], parity["least_identical"]) == (LEAST_SESSIONS, LEAST_IDENTICAL)
    assert parity["identical"] >= LEAST_IDENTICAL
    assert parity["swapped"] == 0
    assert "in int8" in describe(parity)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_int8_that_loses_items_gives_way_to_exact_scoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "MARGINS", MARGINS[:1])  # that all are tried: the next test
    parity = chosen(tmp_path / "model.onnx", missing)
    assert not in_int8(tmp_path / "model.onnx")
    assert (parity["scoring"], "margin" in parity) == ("exact", False)
    assert 0.3 < parity["identical"] < 0.7
    assert parity["identical_of"] < LEAST_SESSIONS, "too many differ of the first already"
    assert "exactly" in describe(parity)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_graph_that_loses_items_as_its_module_does_is_not_translated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[str] = []
    real = choice._export

    def export(module: ToyServing, *given: Any, **options: Any) -> Any:
        heads.append(type(module.head).__name__)
        return real(module, *given, **options)

    monkeypatch.setattr(choice, "_export", export)
    chosen(tmp_path / "model.onnx", missing)
    assert heads == ["TopK"], "a translation takes seconds"


def test_wider_margin_is_tried_where_the_first_is_too_narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "MARGINS", (0, MARGINS[0]))
    assert chosen(tmp_path / "model.onnx")["margin"] == MARGINS[0]


@pytest.mark.parametrize(
    "changes", [{"scoring": "exact"}, {"sessions": []}, {"sessions": sessions(LEAST_SESSIONS - 1)}, {"items": V - 1}]
)
def test_exact_scoring_is_kept_unasked(tmp_path: Path, changes: dict[str, Any]) -> None:
    parity = chosen(
        tmp_path / "model.onnx",
        lambda margin: ToyServing(items=changes.get("items", V), hidden=32, margin=margin),
        **changes,
    )
    assert not in_int8(tmp_path / "model.onnx")
    assert parity["scoring"] == "exact"
    assert "identical" not in parity
    assert describe(parity) == "scoring exactly"


def test_graph_that_does_not_rank_as_its_module_is_an_error_of_exact_scoring_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = check_parity

    def check(module: ToyServing, *given: Any, **options: Any) -> Any:
        if type(module.head).__name__ == refused:
            raise ParityError("no")
        return real(module, *given, **options)

    monkeypatch.setattr(choice, "check_parity", check)
    monkeypatch.setattr(choice, "MARGINS", MARGINS[:1])
    refused = "Int8TopK"
    found = chosen(tmp_path / "model.onnx")
    assert (found["scoring"], "identical" in found) == ("exact", False), "not for its lists"
    refused = "TopK"
    with pytest.raises(ParityError):
        chosen(tmp_path / "model.onnx", scoring="exact")


def test_graph_like_another_takes_its_choice_without_a_comparison(tmp_path: Path) -> None:
    found = chosen(tmp_path / "model.onnx", like={"scoring": "int8", "margin": MARGINS[1]}, sessions=[])
    assert in_int8(tmp_path / "model.onnx")
    assert (found["scoring"], found["margin"], "identical" in found) == ("int8", MARGINS[1], False)
    assert describe(found) == "scoring in int8, as the graph that was judged"
    found = chosen(tmp_path / "model.onnx", like={"scoring": "exact", "identical": 0.9})
    assert not in_int8(tmp_path / "model.onnx")
    assert (found["scoring"], "identical" in found) == ("exact", False)
    assert chosen(tmp_path / "model.onnx", like={"scoring": "exact"})["scoring"] == "int8", "it was never compared"
