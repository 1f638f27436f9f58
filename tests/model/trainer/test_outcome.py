"""What is said of a cycle: above all that a shop has no model at all, and what helps."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from export.registry.registry import Registry
from model.trainer.child import Ended
from model.trainer.config import TrainerConfig
from model.trainer.decisions import Decisions
from model.trainer.kept.journal import OpenCycle, State
from model.trainer.metrics import TrainerMetrics
from model.trainer.outcome import HARMLESS, Outcomes, remedy_of

CYCLE = OpenCycle(cycle="default-000001", mode="full", why="asked for", parts=[], until_ts=1, total=900)
GATE: dict[str, Any] = {
    "passed": False,
    "reasons": ["Recall@20 0.1200, vmis-knn 0.1312; at least 0.1312 is asked"],
    "candidate": {"recall@20": 0.12},
    "baselines": {"popularity": {"recall@20": 0.05}, "vmis-knn": {"recall@20": 0.1312}},
}
REFUSED = Ended(gate=GATE)


class FakeRegistry:
    """One that holds `version`, live or not."""

    version: str | None = None

    def live(self, variant: str) -> str | None:
        return None

    def newest(self) -> str | None:
        return self.version


class Place:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.registry, self.problems, self.folder = FakeRegistry(), {}, folder
        self.metrics = TrainerMetrics()
        where: dict[str, Any] = {name: str(folder / name) for name in ("registry", "store", "work")}
        registry: Any = self.registry
        self.outcomes = Outcomes(
            TrainerConfig(**where, **options),
            registry,
            self.metrics,
            Decisions(folder),
            problem=lambda key, what, remedy: self.problems.update({key: f"{what}: {remedy}"}),
            solved=lambda key: self.problems.pop(key, None),  # type: ignore[arg-type]
        )

    problems: dict[str, str]

    def decision(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "decisions.jsonl").read_text().splitlines()[-1]))


def test_refused_first_candidate_says_that_no_model_is_live_and_what_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert place.outcomes.note(CYCLE, REFUSED) == "refused"
    said = place.problems["no_model"]
    for text in (said, place.decision()["no_model"], caplog.text):
        assert "no model is live at all" in text
        assert "workers' lists are empty until one passes" in text
        assert "wait for more clicks" in text
        assert "--slack 0.012" in text, "as much as it was below the best baseline"
    assert "no_model" in HARMLESS, "the trainer itself is well"


def test_refused_candidate_beside_a_model_says_nothing_of_the_kind(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.registry.version = "3"
    place.outcomes.note(CYCLE, REFUSED)
    assert place.problems == {}
    assert "no_model" not in place.decision()


def test_first_version_ends_the_problem(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.outcomes.note(CYCLE, REFUSED)
    place.registry.version = "1"
    place.outcomes.note(CYCLE, Ended(version="1", gate={"passed": True}))
    assert place.problems == {}


def test_failed_first_cycle_says_that_no_model_is_live_too(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.outcomes.note(CYCLE, Ended(error="the loss is nan", kind="TrainingError"))
    assert "no model is live at all, as cycle default-000001 failed" in place.problems["no_model"]
    assert "the loss is nan" in place.problems["cycle_failed"]


def test_trainer_that_starts_again_knows_that_shoppers_still_wait(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.outcomes.look(State())
    assert place.problems == {}, "nothing was judged yet"
    place.outcomes.look(State(last_passed=False, last_reasons=["Recall@20 0.12, vmis-knn 0.13"]))
    assert "the last candidate did not pass the gate" in place.problems["no_model"]
    assert "--slack" in place.problems["no_model"]


@pytest.mark.parametrize(
    ("recall", "slack", "named"),
    [(0.12, 0.0, "--slack 0.012"), (0.12, 0.05, None), (0.2, 0.0, None), (0.1312, 0.0, None)],
)
def test_remedy_names_a_slack_only_where_one_would_have_helped(recall: float, slack: float, named: str | None) -> None:
    said = remedy_of({**GATE, "candidate": {"recall@20": recall}}, slack)
    assert said.startswith("wait for more clicks")
    assert ("--slack" in said) == (named is not None)
    assert (named or "") in said


def test_mlflow_that_lost_something_is_a_problem_with_a_remedy_and_a_count(tmp_path: Path) -> None:
    place = Place(tmp_path, mlflow="http://tracking")
    place.registry.version = "1"
    place.outcomes.note(CYCLE, Ended(version="1", mlflow="MLflow at http://tracking keeps nothing", mlflow_lost=7))
    assert "start the MLflow server" in place.problems["mlflow"]
    assert place.metrics.registry.get_sample_value("nextclick_trainer_mlflow_lost_total") == 7
    assert place.decision()["mlflow_lost"] == 7
    place.outcomes.note(CYCLE, Ended(version="2"))
    assert place.problems == {}


def test_registry_without_a_version_is_what_no_model_means(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.create()
    assert (registry.live("default"), registry.newest()) == (None, None)


def test_cycle_is_a_span_of_its_length_where_traces_are_asked_for(tmp_path: Path) -> None:
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    place, kept, provider = Place(tmp_path), InMemorySpanExporter(), TracerProvider()
    place.outcomes.note(CYCLE, REFUSED)
    provider.add_span_processor(export.SimpleSpanProcessor(kept))
    place.outcomes._tracer = provider.get_tracer("test")
    place.outcomes.note(CYCLE, REFUSED)
    [span] = kept.get_finished_spans()
    assert (span.name, span.attributes["nextclick.outcome"]) == ("cycle", "refused")
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(REFUSED.seconds, abs=1e-3)
    provider.shutdown()
