"""A training's metrics file continues where the training does, and neither file nor plot can end a training."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.learn import checkpoint
from model.learn.train import train
from model.reports import curves
from model.reports.curves import Curves, read_entries
from model.reports.progress import Progress
from tests.model.test_training_run import published, request
from tests.model.tiny import tiny_log, tiny_preset

BASELINES = {"next-item": {"recall@20": 0.6, "mrr@20": 0.3}, "popularity": {"recall@20": 0.1, "mrr@20": 0.02}}
FIGURES = {"recall@20": 0.7, "mrr@20": 0.35, "predictions": 90}


def step(number: int, *, epoch: int = 1, loss: float = 4.0) -> Progress:
    return Progress(stage="train", epoch=epoch, epochs=3, step=number, steps=10, loss=loss, sessions_per_s=812.34)


def validation(epoch: int) -> Progress:
    return Progress(stage="validate", epoch=epoch, epochs=3, step=10, steps=10, loss=2.0, metrics=FIGURES)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the file of metrics: a plot takes longer than they do."""
    monkeypatch.setattr(curves, "draw", lambda *_: None)


def report(directory: Path, *reports: Progress, **options: Any) -> list[Progress]:
    """What reaches the callback behind the curves."""
    seen: list[Progress] = []
    watched = Curves(directory, seen.append, **options)
    for one in reports:
        watched(one)
    watched.finish()
    return seen


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def steps(directory: Path) -> list[int]:
    return [line["step"] for line in lines(directory)]


def save_checkpoint(directory: Path, at: int) -> None:
    checkpoint.save(directory, {"run": "r", "step": at})


@pytest.mark.usefixtures("undrawn")
def test_curves_every_report_passes_and_steps_and_validations_are_kept(tmp_path: Path) -> None:
    reports = [Progress(stage="read"), step(4), step(9, epoch=2), validation(2), Progress(stage="publish")]
    assert report(tmp_path, *reports) == reports
    first, second, third = lines(tmp_path)
    assert first.keys() == {"stage", "epoch", "step", "loss", "sessions_per_s", "seconds", "ts"}
    assert (first["stage"], first["epoch"], first["step"], first["loss"]) == ("train", 1, 4, 4.0)
    assert first["sessions_per_s"] == 812.3
    assert second["step"] == 19
    assert third["stage"] == "validate"
    assert third.items() >= FIGURES.items()
    assert third["seconds"] >= first["seconds"] >= 0
    assert third["ts"] > 1_600_000_000_000


@pytest.mark.usefixtures("undrawn")
def test_curves_a_line_is_readable_as_soon_as_it_is_reported(tmp_path: Path) -> None:
    watched = Curves(tmp_path)
    for number in (1, 2, 3):
        watched(step(number))
        assert steps(tmp_path)[-1] == number


@pytest.mark.usefixtures("undrawn")
def test_curves_resumed_training_drops_what_it_writes_again(tmp_path: Path) -> None:
    report(tmp_path, step(2), step(5), step(7), step(9))
    save_checkpoint(tmp_path, 5)
    report(tmp_path, step(8), validation(1))
    assert steps(tmp_path) == [2, 5, 8, 10]
    seconds = [line["seconds"] for line in lines(tmp_path)]
    assert seconds == sorted(seconds)


@pytest.mark.usefixtures("undrawn")
def test_curves_killed_before_its_first_checkpoint_starts_the_file_anew(tmp_path: Path) -> None:
    report(tmp_path, step(2), step(5))
    report(tmp_path, step(3))
    assert steps(tmp_path) == [3]


@pytest.mark.usefixtures("undrawn")
def test_curves_not_to_be_resumed_starts_the_file_anew(tmp_path: Path) -> None:
    report(tmp_path, step(2), step(5))
    save_checkpoint(tmp_path, 5)
    report(tmp_path, step(1), resume=False)
    assert steps(tmp_path) == [1]


@pytest.mark.slow
def test_curves_committee_resumes_each_encoder_where_it_was(tmp_path: Path) -> None:
    def of(member: int, one: Progress) -> Progress:
        return dataclasses.replace(one, member=f"{member}/3")

    report(tmp_path, of(1, step(4)), of(1, validation(1)), of(2, step(3)), of(2, step(7)), of(2, step(9)))
    save_checkpoint(tmp_path / "member-1", 10)
    save_checkpoint(tmp_path / "member-2", 7)
    together = Progress(stage="validate", message="3 encoders together", metrics=FIGURES)
    report(tmp_path, of(2, validation(1)), of(3, step(5)), of(3, validation(1)), together)
    kept = [(line.get("member"), line["step"]) for line in lines(tmp_path)]
    whole = [("1/3", 4), ("1/3", 10), ("2/3", 3), ("2/3", 7), ("2/3", 10), ("3/3", 5), ("3/3", 10), (None, 10)]
    assert kept == whole
    save_checkpoint(tmp_path / "member-2", 10)
    save_checkpoint(tmp_path / "member-3", 10)
    report(tmp_path, together)
    assert [(line.get("member"), line["step"]) for line in lines(tmp_path)] == whole
    drawn = (tmp_path / "training.svg").read_text()
    assert "Recall@20, 2/3" in drawn


@pytest.mark.usefixtures("undrawn")
def test_curves_training_that_does_not_begin_leaves_the_file(tmp_path: Path) -> None:
    report(tmp_path, step(2), step(5))
    (tmp_path / checkpoint.FILE).write_bytes(b"damaged")
    report(tmp_path, Progress(stage="read"))
    assert steps(tmp_path) == [2, 5]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("torn", [b'{"stage": "train", "st', b"\x00\xff", b"[1]\n", b'{"step": 3}\n', b"3"])
def test_curves_torn_line_is_left_out(tmp_path: Path, torn: bytes) -> None:
    report(tmp_path, step(2))
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(torn)
    assert len(read_entries(tmp_path / "metrics.jsonl")) == 1
    save_checkpoint(tmp_path, 4)
    report(tmp_path, step(5))
    assert steps(tmp_path) == [2, 5]


def test_curves_loss_that_is_no_number_is_null(tmp_path: Path) -> None:
    report(tmp_path, step(1, loss=float("nan")), step(2), validation(1))
    assert lines(tmp_path)[0]["loss"] is None
    assert (tmp_path / "training.svg").stat().st_size > 0


def test_curves_plot_names_axes_metrics_and_baselines(tmp_path: Path) -> None:
    report(tmp_path, step(2), step(8, loss=3.0), validation(1), validation(2), baselines=BASELINES)
    drawn = (tmp_path / "training.svg").read_text()
    labels = ("step", "loss", "Recall@20", "MRR@20", "Recall@20 of next-item", "Recall@20 of popularity")
    assert [label for label in labels if label not in drawn] == []
    assert not list(tmp_path.glob("*.partial"))


def test_curves_formats_asked_for_are_drawn(tmp_path: Path) -> None:
    watched = Curves(tmp_path, formats=("png", "svg"))
    assert watched.plot is None
    watched(validation(1))
    assert watched.plot == tmp_path / "training.png"
    assert watched.plot.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "training.svg").read_text().startswith("<?xml")


def test_curves_finished_training_run_again_draws_from_the_file(tmp_path: Path) -> None:
    report(tmp_path, step(2), validation(1))
    (tmp_path / "training.svg").unlink()
    report(tmp_path)
    assert (tmp_path / "training.svg").is_file()


def test_curves_nothing_reported_draws_nothing(tmp_path: Path) -> None:
    report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("undrawn")
def test_curves_metrics_that_cannot_be_written_are_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    seen = report(tmp_path / "file" / "folder", step(1), step(2), validation(1))
    assert [one.step for one in seen if one.steps] == [1, 2, 10]
    (said,) = (one.message for one in seen if one.message)
    assert "metrics of the training cannot be written" in said


@pytest.mark.parametrize("error", [ImportError("no matplotlib"), OSError("disk full"), ValueError("a bad font")])
def test_curves_plot_that_cannot_be_drawn_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(curves, "draw", fail)
    seen = report(tmp_path, step(1), validation(1), validation(2))
    assert steps(tmp_path) == [1, 10, 20]
    (said,) = (one.message for one in seen if one.message)
    assert str(error) in said


@pytest.mark.slow
def test_curves_of_a_training_hold_its_validations_and_resume_with_it(tmp_path: Path) -> None:
    def run(epochs: float) -> list[dict[str, float]]:
        log, valid = tiny_log(), tiny_log(40, seed=1)
        preset = tiny_preset(epochs=epochs)
        return train(log, valid, preset, run="r", directory=tmp_path, on_progress=Curves(tmp_path)).history

    run(1)
    history = run(2)
    kept = [line for line in lines(tmp_path) if line["stage"] == "validate"]
    assert [line["epoch"] for line in kept] == [1, 2]
    assert [line["recall@20"] for line in kept] == [entry["recall@20"] for entry in history]


@pytest.mark.slow
def test_train_to_registry_names_its_curves_in_the_summary(tmp_path: Path) -> None:
    summary = published(request(tmp_path, plots=("svg",))).to_dict()
    directory = Path(summary["checkpoint_dir"])
    assert summary["metrics_file"] == str(directory / "metrics.jsonl")
    assert summary["plot"] == str(directory / "training.svg")
    recalls = [line["recall@20"] for line in lines(directory) if line["stage"] == "validate"]
    assert max(recalls) == pytest.approx(summary["valid"]["recall@20"], abs=1e-4)
    assert "Recall@20 of next-item" in (directory / "training.svg").read_text()


@pytest.mark.slow
def test_curves_import_leaves_matplotlib_alone() -> None:
    code = "import sys, model.reports.curves; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
