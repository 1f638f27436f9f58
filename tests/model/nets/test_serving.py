"""The exported graph ranks as the encoders do, whatever they are, alone or several together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from export.graph.onnx import export_onnx
from export.graph.parity import check_parity
from model.nets.serving import ServingModel
from tests.model.tiny import ITEMS, padded, tiny_encoder

IDS = padded([np.array([3, 4, 5], np.int32), np.array([6], np.int32)])
ENCODERS: dict[str, list[dict[str, Any]]] = {
    "start": [{"layers": 1}],
    "end, 2 heads": [{"positions": "end", "heads": 2}],
    "rotary, 2 heads": [{"positions": "rotary", "heads": 2, "layers": 1}],
    "masked, end": [{"masked": True, "positions": "end"}],
    "gru, 2 layers": [{"kind": "gru"}],
    "committee": [{"positions": "none", "layers": 1}, {"kind": "gru", "residual": True, "hidden": 12, "layers": 1}],
}


def serving_of(name: str, margin: int | None = None) -> ServingModel:
    encoders = [tiny_encoder(seed=seed, **options) for seed, options in enumerate(ENCODERS[name])]
    return ServingModel(encoders, margin=margin)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("margin", [None, 12], ids=["exact", "int8"])
def test_serving_lists_are_the_best_means_of_scores_without_the_excluded(name: str, margin: int | None) -> None:
    serving = serving_of(name, margin)
    scores = sum(encoder.last(IDS) @ encoder.table[1:].T for encoder in serving.encoders) / len(serving.encoders)
    assert isinstance(scores, torch.Tensor)
    best = scores.argsort(descending=True) + 1
    top_ids, top_scores = serving.lists(IDS, best[:, :1].int(), torch.tensor(7))
    assert top_ids.tolist() == best[:, 1:8].tolist()
    torch.testing.assert_close(top_scores, scores.gather(1, best[:, 1:8] - 1), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "margin"),
    [
        ("rotary, 2 heads", None),
        ("masked, end", None),
        ("gru, 2 layers", None),
        ("committee", None),
        # In int8 the tables are scored otherwise, one or several of them, whatever encodes the session
        ("rotary, 2 heads", 12),
        ("committee", 12),
    ],
)
def test_serving_graph_ranks_as_pytorch(name: str, margin: int | None, tmp_path: Path) -> None:
    serving, graph = serving_of(name, margin), tmp_path / "model.onnx"
    export_onnx(serving, graph, window=10)
    report = check_parity(serving, graph, window=10, items=ITEMS, k=7)
    assert report.max_score_difference < 1e-4
    recurrent = sum(node.op_type == "GRU" for node in onnx.load(graph).graph.node)
    assert recurrent == sum(options.get("layers", 2) for options in ENCODERS[name] if options.get("kind") == "gru")


def test_serving_is_in_eval_mode_and_looks_at_the_encoders_window() -> None:
    encoder = tiny_encoder(window=6).train()
    serving = ServingModel([encoder])
    assert not encoder.training
    assert serving.window == 6
    assert {id(weight) for weight in serving.parameters()} >= {id(weight) for weight in encoder.parameters()}
