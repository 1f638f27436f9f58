"""The quality table measures what is missing, keeps what it has, and averages over the seeds."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from bench.data.datasets import Parts
from bench.learning import quality
from bench.learning.quality import Job, Result, aggregate, jobs_of, measure_all, read_results, table, train_command
from export.errors import ConfigError
from model.evaluate.baselines.baselines import BASELINES
from model.presets import PRESETS

PRESET = "tron-fast"
COUNTED = Job(dataset="serenade", system="next-item", kind="baseline")
TRAINED = [Job(dataset="serenade", system=PRESET, kind="preset", seed=seed) for seed in (0, 1, 2)]


def figures(recall: float = 0.7, **costs: Any) -> Result:
    found = {"recall@20": recall, "mrr@20": 0.3, "valid_recall@20": 0.8, "valid_mrr@20": 0.4}
    return {**found, "seconds": 10.0, "sessions_per_s": 900.0, "epochs": 3.0, "peak_memory_mb": 800.0, **costs}


def result(job: Job, recall: float = 0.7, **costs: Any) -> Result:
    return {**dataclasses.asdict(job), **figures(recall, **costs)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a small log in the place of serenade."""
    random = np.random.default_rng(0)
    columns = {
        "session_id": np.repeat(np.arange(60), 4),
        "item_id": random.integers(1, 9, 240),
        "timestamp": np.arange(240) * 1_000,
        "split": ["train"] * 200 + ["valid"] * 20 + ["test"] * 20,
    }
    pq.write_table(pa.table(columns), tmp_path / "serenade_bolcom.parquet")
    return tmp_path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were trained; none really is."""
    done: list[Job] = []

    def measure(job: Job, parts: Parts) -> Result:
        assert pq.read_table(parts.train).num_rows == 200
        if job.seed == 1:
            raise subprocess.CalledProcessError(1, "nextclick train")
        done.append(job)
        return figures()

    monkeypatch.setattr(quality, "measure_preset", measure)
    return done


def asked(**options: Any) -> argparse.Namespace:
    usual = {"datasets": ["recent"], "presets": None, "baselines": None, "seeds": [0], "epochs": None}
    return argparse.Namespace(**{**usual, "max_seconds": None, "budget": None, **options})


def test_jobs_of_nothing_named_is_everything() -> None:
    jobs = jobs_of(asked(datasets=["recent", "serenade"]))
    assert {job.system for job in jobs} == {*PRESETS, *BASELINES}
    assert {job.dataset for job in jobs} == {"recent", "serenade"}
    assert len(jobs) == 2 * (len(PRESETS) + len(BASELINES))


def test_jobs_of_presets_named_leave_the_baselines_out() -> None:
    jobs = jobs_of(asked(presets=[PRESET], seeds=[0, 1], epochs=2.0))
    assert [(job.system, job.seed, job.epochs_asked) for job in jobs] == [(PRESET, 0, 2.0), (PRESET, 1, 2.0)]


def test_train_command_gives_what_was_asked_for_only() -> None:
    parts = Parts(train=Path("a"), valid=Path("b"), test=Path("c"))
    command = " ".join(train_command(TRAINED[1], parts, Path("r"))[1:])
    assert command == f"-m nextclick train --data a --valid b --registry r --preset {PRESET} --seed 1 --json"
    limited = dataclasses.replace(TRAINED[1], epochs_asked=3.0, max_seconds=0.5)
    assert "--epochs 3 --max-seconds 0.5" in " ".join(train_command(limited, parts, Path("r")))


def test_train_command_of_auto_holds_out_by_itself_and_takes_the_budget() -> None:
    job = Job(dataset="beauty", system="auto", kind="preset", seed=0, budget="60s")
    command = " ".join(train_command(job, Parts(train=Path("a"), valid=Path("b"), test=Path("c")), Path("r")))
    assert "--preset auto --seed 0 --budget 60s" in command
    assert "--valid" not in command
    assert job.name == "auto 60s"


@pytest.mark.slow
def test_measure_all_baseline_is_judged_on_both_parts(data: Path) -> None:
    (found,), failed = measure_all([COUNTED], data, None)
    assert failed == 0
    assert 0 < found["recall@20"] <= 1
    assert found["valid_mrr@20"] != found["mrr@20"]
    assert found["peak_memory_mb"] is None


@pytest.mark.slow
def test_measure_all_failure_is_passed_over_and_counted(data: Path, trained: list[Job]) -> None:
    results, failed = measure_all(TRAINED, data, data / "out.jsonl")
    assert failed == 1
    assert [one["seed"] for one in results] == [0, 2]
    assert [one["seed"] for one in read_results(data / "out.jsonl")] == [0, 2]


@pytest.mark.slow
def test_measure_all_second_run_measures_what_the_first_has_not(data: Path, trained: list[Job]) -> None:
    out = data / "out.jsonl"
    measure_all([COUNTED, TRAINED[0]], data, out)
    results, _ = measure_all([COUNTED, TRAINED[0], TRAINED[2]], data, out)
    assert trained == [TRAINED[0], TRAINED[2]]
    assert [(one["system"], one["seed"]) for one in results] == [("next-item", None), (PRESET, 0), (PRESET, 2)]
    assert len(read_results(out)) == 3


@pytest.mark.slow
def test_measure_all_other_epochs_are_another_measurement(data: Path, trained: list[Job]) -> None:
    longer = dataclasses.replace(TRAINED[0], epochs_asked=9.0)
    measure_all([TRAINED[0]], data, data / "out.jsonl")
    measure_all([longer], data, data / "out.jsonl")
    assert trained == [TRAINED[0], longer]


def test_measure_all_with_everything_kept_needs_no_data(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(json.dumps(result(TRAINED[0])) + "\n")
    results, failed = measure_all([TRAINED[0]], tmp_path / "nothing", out)
    assert (len(results), failed) == (1, 0)


def test_measure_all_missing_data_are_named_before_anything_is_measured(data: Path, trained: list[Job]) -> None:
    with pytest.raises(ConfigError, match="--data-dir"):
        measure_all([TRAINED[0], dataclasses.replace(TRAINED[0], dataset="recent")], data, None)
    assert trained == []


@pytest.mark.slow
def test_measure_all_torn_line_of_out_is_measured_again(data: Path, trained: list[Job]) -> None:
    out = data / "out.jsonl"
    out.write_text(json.dumps(result(TRAINED[0])) + "\n" + json.dumps(result(TRAINED[2]))[:30])
    measure_all([TRAINED[0], TRAINED[2]], data, out)
    assert trained == [TRAINED[2]]
    assert [one["seed"] for one in read_results(out)] == [0, 2]


@pytest.mark.parametrize("content", ['{"epoch": 1}', "[1, 2]"])
def test_read_results_another_kind_of_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(content + "\n")
    with pytest.raises(ConfigError, match="--out"):
        read_results(tmp_path / "metrics.jsonl")


def test_aggregate_seeds_give_mean_spread_and_largest_memory() -> None:
    one, two = result(TRAINED[0], 0.70, seconds=10.0), result(TRAINED[1], 0.74, seconds=20.0, peak_memory_mb=950.0)
    (row,) = aggregate([one, two])
    assert (row["dataset"], row["system"], row["seeds"]) == ("serenade", PRESET, [0, 1])
    assert row["recall@20"] == pytest.approx(0.72)
    assert row["recall@20_std"] == pytest.approx(0.02 * 2**0.5)
    assert row["seconds"] == 15.0
    assert row["peak_memory_mb"] == 950.0


def test_aggregate_one_seed_and_baselines_have_no_spread() -> None:
    nothing: Result = dict.fromkeys(("sessions_per_s", "epochs", "peak_memory_mb"))
    trained, counted = aggregate([result(TRAINED[0]), result(COUNTED, **nothing)])
    assert trained["mrr@20_std"] is None
    assert counted["seeds"] == []
    assert (counted["sessions_per_s"], counted["peak_memory_mb"]) == (None, None)


def test_table_shows_the_spread_of_several_seeds() -> None:
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(table(aggregate([result(COUNTED, 0.65, epochs=None), result(TRAINED[0], 0.70)])))
    console.print(table(aggregate([result(TRAINED[0], 0.70), result(TRAINED[1], 0.74)])))
    text = console.export_text()
    assert "0.6500" in text
    assert "0.7200 ± 0.0283" in text
    assert "0 1" in text
