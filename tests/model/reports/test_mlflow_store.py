"""MLflow's own client: addresses that can't be, a folder that keeps a cycle, a server that is not there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from export.errors import ConfigError
from model.cycle.config import GateConfig
from model.cycle.cycle import run_cycle
from model.reports import mlflow_store, tracking
from model.reports.mlflow_store import EXPERIMENT, check_uri, without_password
from model.reports.progress import Progress
from model.trainer.config import TrainerConfig
from model.trainer.cycle_run import CycleRun
from tests.model.cycle.shop import LENIENT, raw_log, request

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
def folder(tmp_path: Path) -> Any:
    """A client that reads what was kept."""
    pytest.importorskip("mlflow")
    return tmp_path / "runs"


def config(folder: Path, uri: str) -> TrainerConfig:
    where: dict[str, Any] = {name: str(folder / name) for name in ("registry", "store", "work")}
    return TrainerConfig(**where, mlflow=uri)


@pytest.mark.slow
def test_folder_keeps_cycles_that_published_that_were_killed_and_that_were_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_FINISH_S", 200.0)  # the first import of MLflow on a busy machine
    uri = check_uri(str(folder))
    asked = request(tmp_path, raw_log(tmp_path, 150), gate=LENIENT, window={"until_ts": 17})
    for _ in range(2):  # the second time as after a kill
        run = CycleRun(config(tmp_path, uri), asked, lambda _: None)
        assert run.ended(run_cycle(asked, run.on_progress)).lost == 0
    strict = request(tmp_path, raw_log(tmp_path, 150), "c2", gate=GateConfig(tolerance=0.0, min_sessions=1))
    refused = CycleRun(config(tmp_path, uri), strict, lambda _: None)
    refused.ended(run_cycle(strict, refused.on_progress))
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    runs = {
        run.info.run_name: run for run in client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    }
    assert set(runs) == {"c1", "c2"}
    data = runs["c1"].data
    assert (data.params["train.epochs"], data.params["gate.tolerance"]) == ("3", "0.005")
    assert data.tags["nextclick.version"] == "1"
    assert data.tags["nextclick.outcome"] == "published"
    assert data.tags["nextclick.window.until_ts"] == "17"
    assert {"validate/recall_at_20", "final/recall_at_20", "baseline/popularity/recall_at_20"} <= set(data.metrics)
    assert data.metrics["gate/passed"] == 1.0
    kept = {file.path for file in client.list_artifacts(runs["c1"].info.run_id, "bundle")}
    assert {"bundle/manifest.json", "bundle/model.onnx"} <= kept
    assert runs["c2"].data.tags["nextclick.outcome"] in ("published", "refused")
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


@pytest.mark.slow
def test_server_that_is_not_there_costs_a_cycle_nothing_but_its_record(tmp_path: Path, folder: Path) -> None:
    seen: list[Progress] = []
    asked = request(tmp_path, raw_log(tmp_path, 150))
    run = CycleRun(config(tmp_path, "http://127.0.0.1:1"), asked, seen.append)
    tracked = run.ended(run_cycle(asked, run.on_progress))
    assert asked.registry.versions() == ["1"]
    assert tracked.lost > 0
    assert "http://127.0.0.1:1 keeps nothing" in tracked.error
    assert any("records are lost: start the MLflow server" in report.message for report in seen)
