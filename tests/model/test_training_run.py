"""From a click log on disk to a bundle that serves what was trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import export.graph.onnx as exporter
from export.bundle.bundle import CARD, CARD_VALUES, load_bundle
from export.errors import ConfigError, ProviderUnavailable
from export.graph.onnx import _translate
from export.ranking.ranker import Ranker
from export.registry.registry import Registry
from model import training_run as pipeline
from model.codes.config import CodesConfig
from model.config import Preset
from model.errors import CheckpointError, DataError
from model.learn import checkpoint
from model.learn.distributed import Team
from model.learn.train import train
from model.reports.progress import OnProgress, Progress, ignore
from model.reports.summary import TrainSummary
from model.training_run import TrainRequest, default_checkpoint_dir, read_and_split, run_digest, train_to_registry
from tests.model.tiny import tiny_committee, tiny_log, tiny_logq, tiny_preset

pytestmark = pytest.mark.slow

KEYS = {"version", "bundle", "epochs", "seconds", "sessions_per_s", "peak_memory_mb", "valid", "baselines"}


def write_log(path: Path, *, sessions: int = 300, seed: int = 0) -> Path:
    log = tiny_log(sessions, seed=seed)
    columns = {
        "session_id": np.repeat(np.arange(log.sessions), log.lengths),
        "item_id": [log.vocabulary.item(item) for item in log.items.tolist()],
        "timestamp": log.ts,
    }
    pq.write_table(pa.table(columns), path)
    return path


def request(folder: Path, preset: Preset | None = None, **options: object) -> TrainRequest:
    data = folder / "clicks.parquet"
    if not data.exists():
        write_log(data)
    preset = preset or tiny_preset(epochs=3, layers=1)
    options = {"plots": (), **options}  # tests/model/reports/test_curves.py has them
    return TrainRequest(data=data, registry=folder / "registry", preset=preset, **options)  # type: ignore[arg-type]


def published(one: TrainRequest, on_progress: OnProgress = ignore) -> TrainSummary:
    """Train by the request, and return the summary of what was published."""
    summary = train_to_registry(one, on_progress)
    assert summary is not None
    return summary


def test_pipeline_click_log_becomes_a_bundle_that_ranks_as_reported(tmp_path: Path) -> None:
    seen: list[Progress] = []
    summary = published(request(tmp_path), seen.append)
    assert summary.to_dict().keys() >= KEYS
    json.dumps(summary.to_dict())
    assert summary.baselines.keys() == {"popularity", "next-item", "items-after", "co-occurrence", "vmis-knn"}
    assert summary.valid["mrr@20"] > summary.baselines["popularity"]["mrr@20"]
    registry = Registry(str(tmp_path / "registry"))
    assert registry.versions() == [summary.version] == ["1"]
    bundle = load_bundle(registry.fetch("1"))
    assert bundle.manifest.valid == summary.valid
    assert bundle.manifest.preset == "tiny"
    card = json.loads(registry.card("1", CARD_VALUES) or b"")
    assert card["figures"]["model"] == bundle.manifest.valid
    assert card["figures"]["baselines"] == summary.baselines
    assert summary.verdict == card["figures"]["verdict"] != ""
    assert [one["epoch"] for one in card["curves"]["validations"]] == [1, 2, 3]
    assert card["data"]["learned"]["sessions"] == bundle.manifest.training.sessions
    assert (bundle.path / CARD).read_text().startswith("# Model card: tiny")
    assert bundle.manifest.training.sessions + 30 >= 270
    assert Ranker(bundle).rank_items([["item-1"]], 5)[0].fallback is False
    stages = list(dict.fromkeys(progress.stage for progress in seen if progress.stage != "train"))
    assert stages == ["read", "estimate", "baselines", "needs", "validate", "export", "parity", "evaluate", "publish"]


PRESETS = {
    "masked, touched rows": tiny_logq(epochs=2, masked=True, lazy=True, layers=1),
    "committee of codes": dataclasses.replace(
        tiny_committee(epochs=1, layers=1), codes=CodesConfig(splits=4, bits=4), tower=None
    ),
    "committee, average, some sessions": tiny_committee(epochs=1.5, ema=0.9, valid_sessions=9, layers=1),
}


@pytest.mark.parametrize("name", PRESETS)
def test_pipeline_exported_graph_evaluates_as_training_validated(tmp_path: Path, name: str) -> None:
    seen: list[Progress] = []
    summary = published(request(tmp_path, PRESETS[name]), seen.append)
    validations = [p for p in seen if p.stage == "validate" and not p.member]
    best = max((p.metrics for p in validations), key=lambda metrics: metrics["recall@20"])
    for metric in ("recall@20", "mrr@20", "ndcg@20"):
        assert summary.valid[metric] == pytest.approx(best[metric], abs=1e-4)
    assert summary.valid["predictions"] == best["predictions"]


def test_pipeline_process_that_does_not_lead_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "join_team", lambda device: Team(1, 2))
    monkeypatch.setattr(pipeline, "train_preset", lambda *_, **__: None)
    seen: list[Progress] = []
    assert train_to_registry(request(tmp_path), seen.append) is None
    assert {progress.stage for progress in seen} == {"read"}
    assert Registry(str(tmp_path / "registry")).versions() == []


def test_pipeline_start_that_does_not_fit_publishes_nothing(tmp_path: Path) -> None:
    start = tmp_path / "start"
    train(tiny_log(50), tiny_log(4), tiny_preset(epochs=1), directory=start)
    with pytest.raises(CheckpointError):
        train_to_registry(request(tmp_path, tiny_committee(epochs=1), init_from=start))
    assert Registry(str(tmp_path / "registry")).versions() == []


def test_pipeline_same_request_again_publishes_the_same_model_from_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(tmp_path, tiny_committee(epochs=1, layers=1))
    one = published(asked)
    monkeypatch.setattr(exporter, "_translate", _translate)  # the real one: what stands for it gives the same bytes
    two = published(asked)
    assert (one.version, two.version) == ("1", "2")
    assert one.seconds == two.seconds
    assert one.checkpoint_dir == two.checkpoint_dir
    first, second = (tmp_path / "registry" / version / "model.onnx" for version in "12")
    assert first.read_bytes() == second.read_bytes()


def test_pipeline_valid_file_is_used_whole(tmp_path: Path) -> None:
    valid = write_log(tmp_path / "valid.parquet", sessions=40, seed=1)
    log, held_out = read_and_split(request(tmp_path, valid=valid))
    assert log.sessions == 300
    assert held_out.sessions == 40
    assert held_out.vocabulary is log.vocabulary


def test_pipeline_valid_file_that_overlaps_is_said_with_the_share(tmp_path: Path) -> None:
    seen: list[Progress] = []
    asked = request(tmp_path)
    read_and_split(dataclasses.replace(asked, valid=asked.data), seen.append)
    assert any("100.0% of the rows of the held-out log" in progress.message for progress in seen)
    seen.clear()
    read_and_split(asked, seen.append)
    assert not any("held-out log" in progress.message for progress in seen)


def test_pipeline_bad_lines_are_shown(tmp_path: Path) -> None:
    seen: list[Progress] = []
    asked = request(tmp_path)
    table = pq.read_table(asked.data)
    items = pa.array(["[bad]\n", *table["item_id"].to_pylist()[1:]])
    pq.write_table(table.set_column(1, "item_id", items), asked.data)
    read_and_split(asked, seen.append)
    assert any("bad_item at clicks.parquet:1: 0, [bad]\\n, " in progress.message for progress in seen)


def test_pipeline_warm_start_from_an_earlier_training(tmp_path: Path) -> None:
    start, short = tmp_path / "start", tiny_preset(epochs=1, layers=1)
    asked = request(tmp_path, short, init_from=start)
    log, valid = read_and_split(asked)
    train(log, valid, tiny_preset(epochs=3, layers=1), directory=start)
    warm = published(asked)
    assert warm.valid["mrr@20"] > train(log, valid, short).valid["mrr@20"]
    cold = dataclasses.replace(asked, init_from=None)
    assert warm.checkpoint_dir != default_checkpoint_dir(asked.registry, run_digest(cold, log, valid))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: training on it is tested in test_gpu.py")
def test_pipeline_gpu_asked_for_where_there_is_none_is_refused_before_reading(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="finds no GPU"):
        train_to_registry(request(tmp_path, tiny_preset(device="cuda")))
    assert not (tmp_path / "registry").exists()


def test_pipeline_checkpoint_folder_that_is_a_file_is_refused_before_reading(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot write"):
        train_to_registry(request(tmp_path, checkpoint_dir=tmp_path / "file"))
    assert not (tmp_path / "registry").exists()


def test_pipeline_model_poorer_than_counting_is_said(tmp_path: Path) -> None:
    seen: list[Progress] = []
    published(request(tmp_path, tiny_preset(epochs=0.1, lr=1e-6, layers=1)), seen.append)
    assert any("poorer than those of" in progress.message for progress in seen)


def test_pipeline_times_in_seconds_are_suspected(tmp_path: Path) -> None:
    seen: list[Progress] = []
    asked = request(tmp_path)
    table = pq.read_table(asked.data)
    times = pa.array(1_700_000_000 + np.arange(table.num_rows))
    pq.write_table(table.set_column(2, "timestamp", times), asked.data)
    read_and_split(asked, seen.append)
    assert any("--time-unit s" in progress.message for progress in seen)


def test_pipeline_missing_start_is_refused_before_reading(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init-from"):
        train_to_registry(request(tmp_path, init_from=tmp_path / "nothing"))


def test_pipeline_damaged_checkpoint_publishes_nothing(tmp_path: Path) -> None:
    asked = request(tmp_path)
    directory = default_checkpoint_dir(asked.registry, run_digest(asked, *read_and_split(asked)))
    directory.mkdir(parents=True)
    (directory / checkpoint.FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError):
        train_to_registry(asked)
    assert Registry(str(tmp_path / "registry")).versions() == []
    assert published(dataclasses.replace(asked, resume=False)).checkpoint_dir == directory


def test_pipeline_missing_data_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train_to_registry(TrainRequest(data=tmp_path / "no", registry=tmp_path / "r", preset=tiny_preset()))


def test_run_digest_changes_with_what_changes_the_result_only(tmp_path: Path) -> None:
    base = request(tmp_path)
    log, valid = read_and_split(base)
    name = run_digest(base, log, valid)

    def named(preset: Preset) -> str:
        return run_digest(dataclasses.replace(base, preset=preset), log, valid)

    assert named(base.preset.override(threads=2, max_seconds=9.0)) == name
    change = base.preset.override
    others = (change(seed=1), change(lr=0.1), change(epochs=9), change(uniform=7), change(ema=0.9), tiny_committee())
    assert name not in {named(preset) for preset in others}
    assert len({named(preset) for preset in others}) == len(others)
    assert run_digest(base, valid, valid) != name


def test_default_checkpoint_dir_remote_registry_is_outside_it(tmp_path: Path) -> None:
    assert default_checkpoint_dir(tmp_path, "ab").parent == tmp_path / ".checkpoints"
    assert Path.home() in default_checkpoint_dir("s3://bucket/models", "ab").parents
