"""The graph of sessions' vectors is a part of the one that ranks, which is translated once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from export.errors import ParityError
from export.graph.beside import export_beside
from export.graph.onnx import export_onnx
from model.nets.encoders import build_encoder
from model.nets.serving import ServingModel
from model.nets.sessions import SessionModel
from model.presets import preset

pytestmark = pytest.mark.slow  # translating takes seconds

V, WINDOW = 60, 9


@pytest.fixture(scope="module")
def serving() -> ServingModel:
    return ServingModel([build_encoder(preset("tron-fast").encoder, V)], fresh=True)


@pytest.fixture(scope="module")
def ranking(serving: ServingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_onnx(serving, path, window=WINDOW)
    return path


def beside(serving: ServingModel, path: Path, ranking: Path) -> onnx.ModelProto:
    tables = [encoder.table.detach().numpy() for encoder in serving.encoders]
    assert len(export_beside(SessionModel(serving), path, ranking, tables, window=WINDOW, items=V)) == 1
    return onnx.load(str(path), load_external_data=False)


def test_it_takes_what_gives_vectors_and_ranks_nothing(serving: ServingModel, ranking: Path) -> None:
    proto, whole = beside(serving, ranking.with_name("sessions.onnx"), ranking), onnx.load(str(ranking))
    assert [value.name for value in proto.graph.input] == ["ids", "away", "push", "fresh"]
    assert [value.name for value in proto.graph.output] == ["vectors"]
    kinds = {node.op_type for node in proto.graph.node}
    assert "TopK" in {node.op_type for node in whole.graph.node} - kinds
    weights = {weight.name for weight in proto.graph.initializer}
    assert weights < {weight.name for weight in whole.graph.initializer}


def test_its_vectors_are_no_output_of_the_graph_that_ranks(ranking: Path) -> None:
    graph = onnx.load(str(ranking)).graph
    assert "vectors" in {name for node in graph.node for name in node.output}
    assert "vectors" not in {value.name for value in graph.output}


def test_the_same_graph_gives_the_same_bytes(serving: ServingModel, ranking: Path) -> None:
    paths = [ranking.with_name(name) for name in ("one.onnx", "another.onnx")]  # weights are read from its folder
    for path in paths:
        beside(serving, path, ranking)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_graph_without_vectors_is_refused(serving: ServingModel, ranking: Path, tmp_path: Path) -> None:
    proto = onnx.load(str(ranking))
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = ["renamed" if name == "vectors" else name for name in names]
    other = tmp_path / "other.onnx"
    other.write_bytes(proto.SerializeToString())
    with pytest.raises(ParityError, match="no value called vectors"):
        beside(serving, tmp_path / "sessions.onnx", other)


def test_a_graph_of_other_weights_is_refused(serving: ServingModel, ranking: Path, tmp_path: Path) -> None:
    proto = onnx.load(str(ranking))
    table = serving.encoders[0].table.detach().numpy()
    for weight in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size > 1 and not np.array_equal(values, table):
            weight.CopyFrom(onnx.numpy_helper.from_array(values + np.float32(0.1), weight.name))
    other = tmp_path / "other.onnx"
    other.write_bytes(proto.SerializeToString())
    with pytest.raises(ParityError, match="vectors"):
        beside(serving, tmp_path / "sessions.onnx", other)
