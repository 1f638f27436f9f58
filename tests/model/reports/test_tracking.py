"""A training is told to MLflow by the side: what is sent, what is lost when nobody answers, and that nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from model.reports import tracking
from model.reports.mlflow_store import Point, Store
from model.reports.progress import Progress
from model.reports.tracked_version import say_lost
from model.reports.tracking import Tracked, Tracker, metric_name

URI = "http://user:secret@tracking.shop:5000"
TRAINED = Progress(stage="train", epoch=2, epochs=3, step=4, steps=10, loss=1.5)
VALIDATED = Progress(stage="validate", epoch=2, step=10, steps=10, loss=1.25, metrics={"recall@20": 0.5})


class FakeStore:
    """A server: away while `error` is set, and silent while `silent` is not."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.kept: list[Path] = []
        self.status = ""
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.opened: list[tuple[str, str, str]] = []

    def open(self, uri: str, name: str, key: str) -> Store:
        self.opened.append((uri, name, key))
        self._answer()
        return self

    def log(self, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self._answer()
        self.points += points
        self.params |= params
        self.tags |= tags

    def upload(self, path: Path) -> None:
        self._answer()
        self.kept.append(path)

    def end(self, status: str) -> None:
        self._answer()
        self.status = status

    def figures(self) -> dict[tuple[str, int], float]:
        return {(name, step): value for name, value, _, step in self.points}

    def _answer(self) -> None:
        self.answers.wait(60)
        if self.error is not None:
            raise self.error


@pytest.fixture
def server() -> Iterator[FakeStore]:
    store = FakeStore()
    yield store
    store.answers.set()  # no thread is left behind


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_EVERY_S", 0.01)
    monkeypatch.setattr(tracking, "_BACK_S", 0.01)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not reached within half a minute")


def test_tracker_sends_parameters_curves_figures_and_the_bundle(server: FakeStore, tmp_path: Path) -> None:
    seen: list[Progress] = []
    tracker = Tracker(URI, "tron", seen.append, key="k", new_store=server.open)
    tracker.about({"train.lr": 0.004}, {"data": "clicks", "parent": ""})
    tracker(TRAINED)
    tracker(VALIDATED)
    tracker.points({"final/recall@20": 0.75, "lost": float("nan")})
    assert tracker.finish(bundle=tmp_path) == Tracked()
    assert server.opened == [(URI, "tron", "k")]
    assert seen == [TRAINED, VALIDATED]
    assert server.figures() == {
        ("train/loss", 14): 1.5,
        ("train/epoch", 14): 2.0,
        ("validate/loss", 20): 1.25,
        ("validate/epoch", 20): 2.0,
        ("validate/recall_at_20", 20): 0.5,
        ("final/recall_at_20", 0): 0.75,
    }
    assert (server.params, server.tags) == ({"train.lr": "0.004"}, {"data": "clicks"})
    assert (server.kept, server.status) == ([tmp_path], "FINISHED")


def test_tracker_tells_the_refits_curves_from_those_of_what_was_judged(server: FakeStore) -> None:
    tracker = Tracker(URI, "tron", new_store=server.open)
    for report in (TRAINED, Progress(stage="gate", message="passed"), TRAINED):
        tracker(report)
    tracker.finish()
    assert {"train/loss", "refit/train/loss"} <= {name for name, _ in server.figures()}


def test_tracker_of_a_training_that_never_began_opens_no_run(server: FakeStore) -> None:
    tracker = Tracker(URI, "tron", new_store=server.open)
    tracker(Progress(stage="read", message="no such file"))
    assert not tracker.has_begun
    assert server.opened == []


def test_server_that_is_away_costs_the_records_and_is_said_once_with_no_password(server: FakeStore) -> None:
    server.error = ConnectionError(f"no route to {URI}/api")
    seen: list[Progress] = []
    tracker = Tracker(URI, "tron", seen.append, new_store=server.open)
    tracker(TRAINED)
    wait_for(lambda: len(server.opened) > 1)  # and it is tried again
    for _ in range(3):
        tracker(TRAINED)
    tracked = tracker.finish()
    assert tracked.lost == 8, "loss and epoch of four reports"
    warnings = [report.message for report in seen if report.message]
    assert len(warnings) == 1
    assert "the training goes on" in warnings[0]
    lost = say_lost(tracked)
    assert lost is not None
    assert "8 records are lost: start the MLflow server" in lost.message
    assert "secret" not in warnings[0] + lost.message
    assert "tracking.shop:5000" in lost.message


def test_server_that_comes_back_gets_what_waited(server: FakeStore) -> None:
    server.error = ConnectionError("away")
    tracker = Tracker(URI, "tron", new_store=server.open)
    tracker(TRAINED)
    wait_for(lambda: len(server.opened) > 1)
    server.error = None
    wait_for(lambda: ("train/loss", 14) in server.figures())
    assert tracker.finish() == Tracked()


def test_server_that_does_not_answer_is_not_waited_for(server: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_FINISH_S", 0.1)
    server.answers.clear()
    tracker = Tracker(URI, "tron", new_store=server.open)
    tracker(TRAINED)
    tracked = tracker.finish()
    assert (tracked.lost, server.points) == (2, [])
    assert "no answer within" in tracked.error


def test_points_that_nobody_takes_are_bounded_and_counted(server: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_MOST", 10)
    server.error = ConnectionError("away")
    tracker = Tracker(URI, "tron", new_store=server.open)
    for _ in range(50):
        tracker(TRAINED)
    assert len(tracker._points) == 10
    assert tracker.finish().lost == 100


def test_bundle_that_can_not_be_kept_is_lost_and_the_figures_are_not(server: FakeStore, tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(f"{path}: no room")

    server.upload = refuse  # type: ignore[method-assign]
    tracker = Tracker(URI, "tron", new_store=server.open)
    tracker(TRAINED)
    tracked = tracker.finish(bundle=tmp_path)
    assert (tracked.lost, server.figures()[("train/loss", 14)]) == (1, 1.5)
    assert "no room" in tracked.error


def test_long_error_keeps_its_end_where_the_cause_is(server: FakeStore) -> None:
    server.error = ConnectionError("POST " + "x" * 900 + ": Connection refused")
    tracker = Tracker(URI, "tron", new_store=server.open)
    tracker(TRAINED)
    error = tracker.finish().error
    assert error.endswith("Connection refused")
    assert len(error) < 400


@pytest.mark.parametrize(("name", "taken"), [("recall@20", "recall_at_20"), ("a:b/c-d", "a_b/c-d")])
def test_metric_name_is_one_that_mlflow_takes(name: str, taken: str) -> None:
    assert metric_name(name) == taken
