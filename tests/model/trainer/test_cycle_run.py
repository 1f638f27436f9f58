"""A cycle that MLflow keeps: its run ends as the cycle does, and a cycle without MLflow knows nothing of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from export.errors import NextclickError
from export.registry.registry import Registry
from model.config import Preset
from model.cycle.gate import GateReport
from model.cycle.request import CycleRequest, CycleResult
from model.errors import Interrupted, TrainingError
from model.reports.progress import Progress
from model.reports.tracking import Tracked, Tracker
from model.trainer import cycle_run
from model.trainer.config import TrainerConfig
from model.trainer.cycle_run import CycleRun
from tests.model.reports.test_tracking import FakeStore

GATE = GateReport(
    passed=False,
    reasons=("poorer",),
    candidate={"recall@20": 0.1},
    live={"recall@20": 0.3},
    baselines={"vmis-knn": {"recall@20": 0.2}},
)


def run(folder: Path, seen: list[Progress], **options: Any) -> CycleRun:
    where: dict[str, Any] = {name: str(folder / name) for name in ("registry", "store", "work")}
    raw: Any = None  # nobody reads it
    asked = CycleRequest(
        cycle="c7",
        raw=raw,
        mode="fresh",
        preset=Preset(name="tron"),
        registry=Registry(folder / "registry"),
        folder=folder,
        parent_version="6",
    )
    return CycleRun(TrainerConfig(**where, **options), asked, seen.append)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore()
    monkeypatch.setattr(cycle_run, "Tracker", partial(Tracker, new_store=store.open))
    return store


def test_refused_candidate_is_kept_with_the_judgement(tmp_path: Path, server: FakeStore) -> None:
    kept = run(tmp_path, [], mlflow="http://tracking")
    kept.on_progress(Progress(stage="validate", epoch=1, steps=5, step=5, metrics={"recall@20": 0.1}))
    result = CycleResult(version=None, gate=GATE, checkpoints=None, refitted=False, seconds=1.0)
    assert kept.ended(result) == Tracked()
    figures = {name: value for (name, _), value in server.figures().items()}
    assert figures["gate/passed"] == 0.0
    assert (figures["candidate/recall_at_20"], figures["live/recall_at_20"]) == (0.1, 0.3)
    assert figures["baseline/vmis-knn/recall_at_20"] == 0.2
    assert server.tags["nextclick.outcome"] == "refused"
    assert (server.tags["nextclick.gate"], server.tags["nextclick.parent"]) == ("poorer", "6")
    assert (server.params["encoder.hidden"], server.params["gate.slack"]) == ("200", "0.0")
    assert server.status == "FINISHED"


@pytest.mark.parametrize(("error", "status"), [(TrainingError, "FAILED"), (Interrupted, "KILLED")])
def test_cycle_that_fails_ends_its_run_and_still_fails(
    tmp_path: Path, server: FakeStore, error: type[NextclickError], status: str
) -> None:
    kept = run(tmp_path, [], mlflow="http://tracking")
    with pytest.raises(error), kept.ending():
        raise error("after step 7")
    assert (server.status, server.tags["nextclick.error"]) == (status, f"{error.__name__}: after step 7")


def test_server_that_is_away_is_said_and_changes_nothing_else(tmp_path: Path, server: FakeStore) -> None:
    server.error = ConnectionError("no route")
    seen: list[Progress] = []
    kept = run(tmp_path, seen, mlflow="http://tracking")
    with pytest.raises(TrainingError), kept.ending():
        raise TrainingError("the loss is nan")
    assert "no route" in seen[-1].message
    assert "start the MLflow server" in seen[-1].message


def test_cycle_without_mlflow_reports_to_whom_it_did(tmp_path: Path, server: FakeStore) -> None:
    seen: list[Progress] = []
    plain = run(tmp_path, seen)
    report = Progress(stage="train", step=1, steps=2)
    plain.on_progress(report)
    result = CycleResult(version=None, gate=GATE, checkpoints=None, refitted=False, seconds=1.0)
    assert plain.ended(result) == Tracked()
    assert (seen, server.opened) == ([report], [])
