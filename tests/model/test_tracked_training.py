"""`train --mlflow`: the run ends as the training does, and one that never began leaves none behind."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from model import tracked_training as module
from model.config import Preset
from model.errors import DataError, Interrupted
from model.reports.progress import Progress, ignore
from model.reports.tracking import Tracker
from model.tracked_training import tracked_training
from model.training_run import TrainRequest
from tests.model.reports.test_tracking import TRAINED, FakeStore

REQUEST = TrainRequest(data=Path("clicks.csv"), registry="registry", preset=Preset(name="tron"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore()
    monkeypatch.setattr(module, "Tracker", partial(Tracker, new_store=store.open))
    return store


def test_interrupted_training_is_kept_as_killed(server: FakeStore) -> None:
    def train() -> None:
        with tracked_training("http://tracking", REQUEST, ignore) as run:
            run.on_progress(TRAINED)
            raise Interrupted("after step 14")

    with pytest.raises(Interrupted):
        train()
    assert (server.status, server.params["train.batch"]) == ("KILLED", "128")
    assert server.tags["nextclick.data"] == "clicks.csv"
    assert "after step 14" in server.tags["nextclick.error"]


def test_training_that_never_began_leaves_no_run(server: FakeStore) -> None:
    with pytest.raises(DataError), tracked_training("http://tracking", REQUEST, ignore):
        raise DataError("no such file")
    assert server.opened == []


def test_process_that_does_not_publish_keeps_no_run(server: FakeStore) -> None:
    with tracked_training("http://tracking", REQUEST, ignore) as run:
        run.ended(None)
    assert server.opened == []


def test_training_without_mlflow_reports_to_whom_it_did(server: FakeStore) -> None:
    seen: list[Progress] = []
    with tracked_training("", REQUEST, seen.append) as run:
        run.on_progress(TRAINED)
        run.ended(None)
    assert (seen, server.opened) == ([TRAINED], [])
