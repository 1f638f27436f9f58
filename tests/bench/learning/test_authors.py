"""The runner around the authors' code, with a model that stands in for theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.learning.authors import gru, tron
from bench.learning.authors.__main__ import by_data_set
from bench.learning.authors.speed import speed
from bench.learning.authors.tron import judge, stand_in, train, write_otto
from bench.learning.quality import METRICS, aggregate, append_result, read_results, table
from export.bundle.vocabulary import Vocabulary
from model.data.log import SessionLog
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


class Next(nn.Module):
    """Says that item i is followed by i + 1, whatever came before: states are one-hot in the catalogue."""

    max_len = 5

    def __init__(self, items: int) -> None:
        super().__init__()
        self.output_embedding = nn.Embedding(items + 1, items + 1, _weight=torch.eye(items + 1))

    def forward(self, clicks: Tensor, mask: Tensor) -> Tensor:
        assert clicks.shape[1] <= self.max_len
        assert torch.equal(clicks != 0, mask.bool()), "padding is on the left, and masked"
        return nn.functional.one_hot(clicks + 1, self.output_embedding.num_embeddings).float()


def test_judge_ranks_the_catalogue_at_every_position_of_the_window() -> None:
    sessions = [[1, 2, 3], [4, 9], [1, 2, 3, 4, 5, 6, 7, 9]]
    log = SessionLog(
        items=np.concatenate(sessions).astype(np.int32),
        offsets=np.cumsum([0, *map(len, sessions)]),
        ts=np.arange(13, dtype=np.int64),
        vocabulary=Vocabulary(f"item-{number}" for number in range(1, 60)),
    )
    found = judge(Next(60), log)
    assert found["recall@20"] == pytest.approx((2 + 0 + 4) / (2 + 1 + 5)), "ties count against it"
    assert found["mrr@20"] == found["recall@20"]


def test_train_takes_the_steps_of_its_epochs_or_its_time() -> None:
    model = Model()
    assert train(model, [torch.ones(1)] * 3, epochs=2, most_s=60.0)[0] == model.steps == 6
    assert train(model, [torch.ones(1)] * 3, epochs=2, most_s=0.0)[0] == 1


def test_what_is_no_working_tree_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    for module, name in ((tron, "yoochoose.json"), (gru, "yoochoose_xe_shared_best.py")):
        with pytest.raises(SystemExit, match=name):
            module.require(tmp_path)


def test_results_lie_beside_those_of_the_quality_table(tmp_path: Path) -> None:
    rows = {"recall@20": 0.5, "mrr@20": 0.25, "seconds": 9.0, "sessions_per_s": 60.0, "epochs": 3.0}
    result = {"dataset": "recent", "system": "otto-de/TRON", "kind": "authors", "seed": 0, **dict.fromkeys(METRICS)}
    append_result(tmp_path / "all.jsonl", result | rows | {"peak_memory_mb": 900.0})
    ours = {"system": "auto", "kind": "preset", "dataset": "tmall", "peak_memory_mb": 1_200.0}
    append_result(tmp_path / "all.jsonl", result | rows | ours)
    append_result(tmp_path / "all.jsonl", result | rows | {"system": "items-after", "peak_memory_mb": None})
    found = aggregate(by_data_set(read_results(tmp_path / "all.jsonl")))
    assert [row["system"] for row in found] == ["otto-de/TRON", "items-after", "auto"]
    assert (found[0]["recall@20"], found[0]["valid_recall@20"]) == (0.5, None)
    assert table(found).row_count == 3
