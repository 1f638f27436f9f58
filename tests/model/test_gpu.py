"""Training on a GPU learns, goes on from its checkpoint, and ends with encoders on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from model.learn.train import Trainer, train
from tests.model.tiny import tiny_log, tiny_logq, tiny_preset

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PRESETS = {
    "sampled": tiny_preset(device="cuda"),
    "touched rows, average": tiny_logq(device="cuda", lazy=True, ema=0.9, input_dropout=0.2),
    "own negatives": tiny_preset(device="cuda", uniform=0, in_batch=0, top=0, each=2, objective="bce"),
    "masked": tiny_preset(device="cuda", masked=True),
    "gru": tiny_preset(device="cuda", kind="gru", residual=True),
}


@pytest.mark.parametrize("name", PRESETS)
def test_gpu_training_learns_and_goes_on(tmp_path: Path, name: str) -> None:
    data: tuple[Any, ...] = tiny_log(200), tiny_log(40, seed=1), PRESETS[name]
    first = Trainer(*data, run="r", directory=tmp_path)
    for _ in range(5):
        first.train_step()
    first.save()
    trained = train(*data, run="r", directory=tmp_path)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert trained.encoders[0].table.device.type == "cpu"
