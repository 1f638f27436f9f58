"""MLflow's own client: addresses that can't be, a folder that keeps a cycle, a server that is not there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from export.errors import ConfigError
from model.cycle.cycle import run_cycle
from model.reports import mlflow_store, tracking
from model.reports.mlflow_store import EXPERIMENT, check_uri, without_password
from model.reports.tracking import Tracked, Tracker
from model.trainer.config import TrainerConfig
from model.trainer.cycle_run import CycleRun
from tests.model.cycle.shop import raw_log, request

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "uri", ["http://tracking:5000", "https://u:p@tracking/path", "databricks", "databricks://team"]
)
def test_check_uri_address_of_a_server_stays(uri: str) -> None:
    assert check_uri(uri) == uri


def test_check_uri_folder_becomes_an_address(tmp_path: Path) -> None:
    assert check_uri(str(tmp_path / "runs")) == check_uri(f"file://{tmp_path}/runs") == f"file://{tmp_path}/runs"


@pytest.mark.parametrize("uri", ["http://", "http://tracking:port", "ftp://tracking", "", "  ", "file://host/runs"])
def test_check_uri_no_address_is_refused_with_what_is_one(uri: str) -> None:
    with pytest.raises(ConfigError, match="--mlflow"):
        check_uri(uri)


def test_check_uri_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(ConfigError, match="name a folder"):
        check_uri(str(tmp_path / "runs"))


@pytest.mark.parametrize(("missing", "uri", "remedy"), [
    ("mlflow", "http://tracking", r"pip install 'nextclick\[mlflow\]'"),
    ("sqlalchemy", "sqlite:///runs.db", "pip install mlflow"),
])  # fmt: skip
def test_check_uri_package_that_is_missing_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, missing: str, uri: str, remedy: str
) -> None:
    monkeypatch.setattr(mlflow_store, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=remedy):
        check_uri(uri)


def test_without_password_is_shown() -> None:
    assert without_password("https://u:p@tracking/x") == "https://tracking/x"
    assert without_password("runs@home") == "runs@home"


def test_mlflow_is_imported_inside_functions_of_one_module_only() -> None:
    found = []
    for part in ("model", "export", "stream", "cli", "demo"):
        for path in (ROOT / part).rglob("*.py"):
            tree = ast.parse(path.read_text())
            of_module = {id(node) for node in tree.body}
            for node in ast.walk(tree):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.split(".")[0] == "mlflow" for name in names):
                    found.append((path.name, id(node) in of_module))
    assert set(found) == {("mlflow_store.py", False)}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a folder. MLflow is imported by the test: its thread must not wait for that on a busy machine."""
    pytest.importorskip("mlflow.tracking")
    monkeypatch.setattr(tracking, "_FINISH_S", 240.0)
    return check_uri(str(tmp_path / "runs"))


@pytest.mark.slow
def test_folder_keeps_a_cycle_with_its_bundle_in_one_run_over_kills(tmp_path: Path, kept: str) -> None:
    where: dict[str, Any] = {name: str(tmp_path / name) for name in ("registry", "store", "work")}
    config = TrainerConfig(**where, mlflow=kept)
    asked = request(tmp_path, raw_log(tmp_path, 100), window={"until_ts": 17})
    first = CycleRun(config, asked, lambda _: None)
    result = run_cycle(asked, first.on_progress)
    assert first.ended(result) == Tracked()
    assert CycleRun(config, asked, lambda _: None).ended(result) == Tracked()  # as after a kill
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=kept)
    [run] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    data = run.data
    assert (run.info.run_name, run.info.status) == ("c1", "FINISHED")
    assert (data.params["train.epochs"], data.params["gate.tolerance"]) == ("3", "0.005")
    assert (data.tags["nextclick.version"], data.tags["nextclick.outcome"]) == ("1", "published")
    assert data.tags["nextclick.window.until_ts"] == "17"
    assert {"validate/recall_at_20", "final/recall_at_20", "baseline/popularity/recall_at_20"} <= set(data.metrics)
    assert data.metrics["gate/passed"] == 1.0
    files = {file.path for file in client.list_artifacts(run.info.run_id, "bundle")}
    assert {"bundle/manifest.json", "bundle/model.onnx"} <= files


@pytest.mark.slow
def test_server_that_is_not_there_costs_the_record_only(kept: str) -> None:
    tracker = Tracker("http://127.0.0.1:1", "tron")
    tracker.points({"loss": 1.0})
    tracked = tracker.finish()
    assert tracked.lost == 1
    assert "http://127.0.0.1:1 keeps nothing" in tracked.error
    assert "refused" in tracked.error
