"""Tests of export/ranking/runtime.py: what can't serve is refused at start."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from bench.rig.toy import toy_manifest
from export.bundle.bundle import Bundle
from export.bundle.writing import write_bundle
from export.errors import BundleError, ProviderUnavailable
from export.ranking.ranker import Ranker, RankerConfig
from export.ranking.runtime import _SMALLEST_GRAPH, try_provider

K = 10


def rewritten(bundle: Bundle, tmp_path: Path, content: bytes, **fields: Any) -> Bundle:
    """Return a sound bundle around another graph or with other manifest fields."""
    graph = tmp_path / "other.onnx"
    graph.write_bytes(content)
    return write_bundle(
        tmp_path / "rewritten",
        onnx_file=graph,
        vocabulary=bundle.vocabulary,
        popularity=np.array(bundle.popularity),
        manifest=msgspec.structs.replace(toy_manifest(), **fields),
    )


def constant_graph(
    inputs: tuple[str, str], score: float, kind: int = onnx.TensorProto.INT32, takes_k: bool = True
) -> bytes:
    """Return a graph that answers every session with the same K items and score, however many are asked for."""
    ids = helper.make_tensor("one", onnx.TensorProto.INT32, [1, K], list(range(1, K + 1)))
    values = helper.make_tensor("value", onnx.TensorProto.FLOAT, [1, K], [score] * K)
    rows = helper.make_tensor("start", onnx.TensorProto.INT64, [1], [K])
    nodes = [
        helper.make_node("Shape", [inputs[0]], ["size"], start=0, end=1),
        helper.make_node("Concat", ["size", "start"], ["shape"], axis=0),
        helper.make_node("Expand", ["one", "shape"], ["top_ids"]),
        helper.make_node("Expand", ["value", "shape"], ["top_scores"]),
    ]
    given = [
        helper.make_tensor_value_info(inputs[0], kind, ["B", "L"]),
        helper.make_tensor_value_info(inputs[1], onnx.TensorProto.INT32, ["B", "E"]),
        helper.make_tensor_value_info("k", onnx.TensorProto.INT64, []),
    ]
    made = helper.make_graph(
        nodes,
        "constant",
        given if takes_k else given[:2],
        [
            helper.make_tensor_value_info("top_ids", onnx.TensorProto.INT32, ["B", K]),
            helper.make_tensor_value_info("top_scores", onnx.TensorProto.FLOAT, ["B", K]),
        ],
        [ids, values, rows],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("takes_k", [True, False], ids=["k", "earlier release"])
def test_ranker_of_a_sound_handmade_graph_works(bundle: Bundle, tmp_path: Path, takes_k: bool) -> None:
    made = rewritten(bundle, tmp_path, constant_graph(("ids", "exclude"), 1.0, takes_k=takes_k))
    assert Ranker(made).rank([[1], [2]], 2)[0].tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    "content",
    [
        b"not a graph",
        b"",
        constant_graph(("items", "exclude"), 1.0),
        constant_graph(("ids", "exclude"), 1.0, onnx.TensorProto.INT64),
        constant_graph(("ids", "exclude"), float("nan")),
    ],
    ids=["nonsense", "empty", "input_name", "input_type", "nan_scores"],
)
def test_graph_that_can_not_serve_is_refused_at_start(bundle: Bundle, tmp_path: Path, content: bytes) -> None:
    made = rewritten(bundle, tmp_path, content)
    with pytest.raises(BundleError) as caught:
        Ranker(made)
    assert caught.value.reason == "bad_model"


def test_graph_with_lists_shorter_than_in_the_manifest_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    made = rewritten(bundle, tmp_path, constant_graph(("ids", "exclude"), 1.0), k_max=K + 1)
    with pytest.raises(BundleError) as caught:
        Ranker(made)
    assert caught.value.reason == "bad_model"


def test_cuda_on_a_build_without_it_says_what_to_install(bundle: Bundle) -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has the CUDA provider")
    with pytest.raises(ProviderUnavailable, match="On a GPU"):
        Ranker(bundle, RankerConfig(provider="cuda"))
    with pytest.raises(ProviderUnavailable, match="On a GPU"):
        try_provider("cuda")


def test_check_provider_cpu_runs_the_smallest_graph() -> None:
    onnx.checker.check_model(onnx.load_from_string(_SMALLEST_GRAPH))
    try_provider("cpu")


def test_cuda_whose_libraries_do_not_load_never_falls_back_silently(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    real = ort.InferenceSession

    def fall_back(path: str | bytes, options: Any, providers: list[str]) -> Any:
        assert providers == both
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr("export.ranking.runtime.ort.get_available_providers", lambda: both)
    monkeypatch.setattr("export.ranking.runtime.ort.InferenceSession", fall_back)
    with pytest.raises(ProviderUnavailable, match="CUDA or cuDNN"):
        Ranker(bundle, RankerConfig(provider="cuda"))
    with pytest.raises(ProviderUnavailable, match="CUDA or cuDNN"):
        try_provider("cuda")
