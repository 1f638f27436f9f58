"""Every preset, shrunk, learns and becomes a graph that ranks as it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from export.graph.onnx import export_onnx
from export.graph.parity import check_parity
from model.config import Preset
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.protocol import evaluate
from model.learn.committee import train_preset
from model.nets.serving import ServingModel
from model.presets import PRESETS, preset
from tests.model.tiny import ITEMS, tiny_log

pytestmark = pytest.mark.slow

FEWER = {"uniform": 30, "popular": 12, "popular_at_end": 20, "in_batch": 8, "top": 12}  # the catalogue has 40 items


def shrunk(name: str) -> Preset:
    """Return the preset with sizes for a tiny log; what it learns with and how stays."""
    whole = preset(name)
    sizes: dict[str, Any] = {"hidden": 16, "feed_forward": 16, "layers": 1, "window": 10, "row": 16, "batch": 16}
    fewer = {option: count for option, count in FEWER.items() if getattr(whole.negatives, option)}
    rate = {"lr": 0.01} if whole.train.rule == "adam" else {}  # of so few steps
    return whole.override(epochs=6, reference=0, min_steps=0, warmup=0, threads=1, **sizes, **fewer, **rate)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_learns_more_than_popularity_and_passes_parity(name: str, tmp_path: Path) -> None:
    log, valid, small = tiny_log(400), tiny_log(60, seed=1), shrunk(name)
    trained = train_preset(log, valid, small)
    popular = evaluate(make_baseline("popularity", log), valid).to_json()
    assert len(trained.encoders) == 1 + len(small.committee)
    assert trained.valid["mrr@20"] > 1.7 * popular["mrr@20"]
    serving, graph = ServingModel(trained.encoders), tmp_path / "model.onnx"
    export_onnx(serving, graph, window=10)
    assert check_parity(serving, graph, window=10, items=ITEMS, k=20).max_score_difference < 1e-4
