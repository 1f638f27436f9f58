"""The runner around the authors' code, with a model that stands in for theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.learning.authors import speed, stand_in, write_otto
from tests.model.tiny import tiny_log


class Model(nn.Module):
    """Takes a step, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.steps = nn.Parameter(torch.ones(1)), 0

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters())

    def training_step(self, batch: Tensor, _step: int) -> Tensor:
        self.steps += 1
        return (self.weight * batch).sum()


def test_speed_counts_the_steps_after_the_warm_up() -> None:
    model = Model()
    assert speed(model, [torch.ones(1)] * 12, batch=4, seconds=60.0) > 0
    assert model.steps == 12


def test_log_is_written_as_the_checkout_reads_it(tmp_path: Path) -> None:
    log = tiny_log(5)
    write_otto(log, tmp_path / "train.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [[event["aid"] for event in line["events"]] for line in lines] == [log.session(s).tolist() for s in range(5)]
    assert all(event["type"] == "clicks" for line in lines for event in line["events"])


def test_stand_in_logs_nothing_and_has_a_device() -> None:
    module: Any = stand_in()
    module.LightningModule().log("loss", 1.0)
    assert module.LightningModule.device == torch.device("cpu")
