"""From a click log on disk to a bundle that serves what was trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.bundle import load_bundle
from export.errors import ConfigError
from export.ranker import Ranker
from export.registry import Registry
from model import checkpoint, pipeline
from model.config import Preset
from model.errors import CheckpointError, DataError
from model.pipeline import TrainRequest, read_and_split, run_digest, train_to_registry
from model.progress import Progress
from model.serving import ServingModel
from tests.model.test_encoder import padded
from tests.model.tiny import tiny_encoder, tiny_log, tiny_preset

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
    preset = preset or tiny_preset(epochs=3)
    return TrainRequest(data=data, registry=folder / "registry", preset=preset, **options)  # type: ignore[arg-type]


def test_pipeline_click_log_becomes_a_bundle_that_ranks_as_reported(tmp_path: Path) -> None:
    seen: list[Progress] = []
    summary = train_to_registry(request(tmp_path), seen.append)
    assert summary.to_dict().keys() >= KEYS
    json.dumps(summary.to_dict())
    assert summary.baselines.keys() == {"popularity", "next-item"}
    assert summary.valid["mrr@20"] > summary.baselines["popularity"]["mrr@20"]
    registry = Registry(str(tmp_path / "registry"))
    assert registry.versions() == [summary.version] == ["1"]
    bundle = load_bundle(registry.fetch("1"))
    assert bundle.manifest.valid == summary.valid
    assert bundle.manifest.preset == "tiny"
    assert bundle.manifest.training.sessions + 30 >= 270
    assert Ranker(bundle).rank_items([["item-1"]], 5)[0].fallback is False
    stages = list(dict.fromkeys(progress.stage for progress in seen if progress.stage != "train"))
    assert stages == ["read", "baselines", "validate", "export", "parity", "evaluate", "publish"]


def test_pipeline_exported_graph_validates_as_pytorch_did(tmp_path: Path) -> None:
    seen: list[Progress] = []
    summary = train_to_registry(request(tmp_path), seen.append)
    best = max((p.metrics for p in seen if p.stage == "validate"), key=lambda metrics: metrics["recall@20"])
    for name in ("recall@20", "mrr@20", "ndcg@20"):
        assert summary.valid[name] == pytest.approx(best[name], abs=1e-4)
    assert summary.valid["predictions"] == best["predictions"]


def test_pipeline_same_request_again_publishes_the_same_model_from_its_checkpoint(tmp_path: Path) -> None:
    one, two = train_to_registry(request(tmp_path)), train_to_registry(request(tmp_path))
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


def test_pipeline_warm_start_from_an_earlier_training(tmp_path: Path) -> None:
    first = train_to_registry(request(tmp_path))
    preset = tiny_preset(epochs=1)
    cold = train_to_registry(request(tmp_path, preset))
    warm = train_to_registry(request(tmp_path, preset, init_from=first.checkpoint_dir))
    assert warm.valid["mrr@20"] > cold.valid["mrr@20"]
    assert len({first.checkpoint_dir, cold.checkpoint_dir, warm.checkpoint_dir}) == 3


def test_pipeline_missing_start_is_refused_before_reading(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init-from"):
        train_to_registry(request(tmp_path, init_from=tmp_path / "nothing"))


def test_pipeline_damaged_checkpoint_publishes_nothing(tmp_path: Path) -> None:
    first = train_to_registry(request(tmp_path))
    (first.checkpoint_dir / checkpoint.FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError):
        train_to_registry(request(tmp_path))
    assert Registry(str(tmp_path / "registry")).versions() == ["1"]
    assert train_to_registry(request(tmp_path, resume=False)).version == "2"


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
    assert name not in {named(p) for p in (change(seed=1), change(lr=0.1), change(epochs=9), change(uniform=7))}
    assert run_digest(base, valid, valid) != name


def test_default_checkpoint_dir_remote_registry_is_outside_it(tmp_path: Path) -> None:
    assert pipeline.default_checkpoint_dir(tmp_path, "ab").parent == tmp_path / ".checkpoints"
    assert Path.home() in pipeline.default_checkpoint_dir("s3://bucket/models", "ab").parents


@pytest.mark.parametrize("positions", ["start", "end"])
def test_serving_model_returns_the_best_items_without_the_excluded(positions: str) -> None:
    encoder = tiny_encoder(positions=positions)
    serving = ServingModel(encoder, 5)
    ids = padded([np.array([3, 4, 5], np.int32), np.array([6], np.int32)])
    scores = (encoder.last(ids) @ encoder.items.weight[1:].T).detach()
    best = scores.argsort(descending=True) + 1
    exclude = best[:, :1].int()
    top_ids, top_scores = serving(ids, exclude)
    assert top_ids.tolist() == best[:, 1:6].tolist()
    assert np.allclose(top_scores.detach(), scores.gather(1, best[:, 1:6] - 1), atol=1e-5)
