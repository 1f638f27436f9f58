"""A cycle: what it publishes and says of it, what the gate refuses, and that a kill at any step costs nothing twice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.bundle.bundle import CARD_VALUES, load_bundle
from export.ranking.ranker import Ranker
from model.after.config import AfterConfig
from model.cycle import cycle as module
from model.cycle.config import FreshConfig, GateConfig, RefitConfig
from model.cycle.cycle import run_cycle
from model.cycle.request import CycleRequest, CycleResult
from model.errors import DataError, LeadLost, TrainingError
from model.learn import checkpoint
from model.reports.progress import Progress
from tests.model.cycle.shop import BEGIN, REFIT, SPACING, joined, raw_log, request
from tests.model.tiny import tiny_committee

pytestmark = pytest.mark.slow


def manifest(asked: CycleRequest, result: CycleResult) -> Any:
    assert result.version is not None
    return asked.registry.manifest(result.version)


def test_cycle_publishes_what_passed_refitted_and_says_what_was_judged(tmp_path: Path) -> None:
    asked = request(tmp_path, raw_log(tmp_path), refit=REFIT, window={"topic": "clicks", "next_offsets": {"0": 17}})
    seen: list[Progress] = []
    result = run_cycle(asked, seen.append)
    found = manifest(asked, result)
    assert (result.version, result.gate.passed, result.refitted) == ("1", True, True)
    assert found.lineage.cycle == "c1"
    assert found.lineage.window == {"topic": "clicks", "next_offsets": {"0": 17}}
    assert found.lineage.refit.refitted
    assert found.valid == result.gate.candidate, "the figures are of the weights that were judged"
    assert found.training.sessions == 300, "the published weights learned the newest sessions too"
    assert result.checkpoints is not None
    assert checkpoint.exists(result.checkpoints)
    bundle = load_bundle(asked.registry.fetch("1"))
    assert not Ranker(bundle).rank_items([["item-1"]], 5)[0].fallback
    card = json.loads((bundle.path / CARD_VALUES).read_bytes())
    assert card["figures"]["model"] == result.gate.candidate
    assert card["figures"]["baselines"] == result.gate.baselines
    assert {"repeats", "length", "frequency"} == set(card["groups"])
    assert card["model"]["cycle"] == "c1"
    assert any("learned the held-out sessions too" in line for line in card["limits"])
    stages = list(dict.fromkeys(report.stage for report in seen if report.stage not in ("train", "validate")))
    assert stages == ["export", "parity", "gate", "refit", "publish"] or stages[-1] == "publish"


def test_cycle_of_a_committee_is_refitted_as_well(tmp_path: Path) -> None:
    preset = tiny_committee(epochs=2, validate_epochs=False, layers=1)
    asked = request(tmp_path, raw_log(tmp_path, 150), preset=preset, refit=REFIT)
    result = run_cycle(asked)
    assert result.refitted
    again = request(
        tmp_path, raw_log(tmp_path, 160), "c2", preset=preset, parent=result.checkpoints, parent_version="1"
    )
    assert manifest(again, run_cycle(again)).lineage.parent == "1"


def test_cycle_whose_candidate_is_poorer_publishes_nothing_and_gives_the_reasons(tmp_path: Path) -> None:
    strict = GateConfig(baselines=("items-after",))
    preset = request(tmp_path, raw_log(tmp_path)).preset.override(epochs=0.05)
    asked = request(tmp_path, raw_log(tmp_path), preset=preset, gate=strict)
    result = run_cycle(asked)
    assert (result.version, result.checkpoints, asked.registry.versions()) == (None, None, [])
    assert not result.gate.passed
    assert any("items-after" in reason and "is asked" in reason for reason in result.gate.reasons)


def test_cycle_judges_the_live_version_on_sessions_that_neither_learned(tmp_path: Path) -> None:
    old = raw_log(tmp_path, 200)
    first = run_cycle(request(tmp_path, old))
    new = joined(tmp_path, old, raw_log(tmp_path, 100, first=200, seed=9))
    second = request(tmp_path, new, "c2")
    result = run_cycle(second)
    assert first.gate.live is None
    assert result.gate.live is not None
    assert 0 < result.gate.live["predictions"] < result.gate.candidate["predictions"] + 1
    assert result.gate.interval is not None
    assert manifest(second, result).lineage.live == "1"


def test_cycle_without_newer_sessions_than_the_live_version_learned_says_that_it_did_not_compare(
    tmp_path: Path,
) -> None:
    raw = raw_log(tmp_path)
    run_cycle(request(tmp_path, raw, refit=REFIT))  # so it learned the newest sessions as well
    result = run_cycle(request(tmp_path, raw, "c2"))
    assert result.gate.live is None
    assert any("not compared with the live version 1" in reason for reason in result.gate.reasons)


def test_refit_that_goes_astray_is_not_published_the_judged_weights_are(tmp_path: Path) -> None:
    asked = request(tmp_path, raw_log(tmp_path), refit=RefitConfig(min_overlap=1.0))
    result = run_cycle(asked)
    found = manifest(asked, result)
    assert not result.refitted
    assert "items; at least 100%" in result.why_not_refitted
    assert found.training.sessions < 300
    assert result.checkpoints is not None
    assert result.checkpoints.name == "candidate"


def test_refit_that_fails_is_not_published_the_judged_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TrainingError("the loss is nan at step 7")

    monkeypatch.setattr(module, "refit", fail)
    result = run_cycle(request(tmp_path, raw_log(tmp_path), refit=REFIT))
    assert (result.version, result.refitted) == ("1", False)
    assert "nan at step 7" in result.why_not_refitted


def test_cycle_that_lost_its_lead_publishes_nothing(tmp_path: Path) -> None:
    asked = request(tmp_path, raw_log(tmp_path), may_publish=lambda: False)
    with pytest.raises(LeadLost):
        run_cycle(asked)
    assert asked.registry.versions() == []
    assert run_cycle(dataclasses.replace(asked, may_publish=lambda: True)).version == "1"


def test_fresh_cycle_puts_new_items_into_the_catalogue_and_keeps_the_old_ones_and_the_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = {"1": {"last": 1.0, "bias_gain": 0.1, "before": 0.5, "predictions": 900}}
    monkeypatch.setattr(module, "layer_of", lambda _, version: layers.get(version, {}))
    old = raw_log(tmp_path, 300)
    first = run_cycle(request(tmp_path, old))
    new = joined(tmp_path, old, raw_log(tmp_path, 60, first=300, seed=4, new_items=5))
    asked = request(
        tmp_path,
        new,
        "c2",
        mode="fresh",
        parent=first.checkpoints,
        parent_version="1",
        since_ts=BEGIN + 300 * SPACING,
        fresh=FreshConfig(least=50, epochs=3.0),
        gate=GateConfig(baselines=(), min_sessions=1000),
    )
    asked = dataclasses.replace(asked, preset=dataclasses.replace(asked.preset, after=AfterConfig(counts="auto")))
    result = run_cycle(asked)
    found = manifest(asked, result)
    assert (found.lineage.mode, found.lineage.parent) == ("fresh", "1")
    assert found.afterwards == layers["1"], "too few are held out to find another"
    items = load_bundle(asked.registry.fetch("2")).vocabulary.items
    assert {"new-1", "item-1", "item-40"} <= set(items)


def test_fresh_cycle_without_anything_new_is_refused(tmp_path: Path) -> None:
    asked = request(tmp_path, raw_log(tmp_path), mode="fresh", since_ts=BEGIN * 2)
    with pytest.raises(DataError, match="too few"):
        run_cycle(asked)


class Killed(BaseException):
    """Stands for a SIGKILL where nothing of the step is to be left."""


STEPS = [("train_preset", "after"), ("pass_gate", "after"), ("refit", "after"), ("commit", "before")]


def lists_of(asked: CycleRequest) -> list[Any]:
    ranker = Ranker(load_bundle(asked.registry.fetch("1")))
    return ranker.rank_items([["item-1", "item-7"], ["item-40"]], 10)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Lists of a cycle that nothing befell."""
    folder = tmp_path_factory.mktemp("whole")
    asked = request(folder, raw_log(folder, 150), refit=REFIT)
    run_cycle(asked)
    return lists_of(asked)


@pytest.mark.parametrize(("step", "when"), STEPS)
def test_cycle_that_was_killed_around_a_step_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[Any], step: str, when: str
) -> None:
    asked = request(tmp_path, raw_log(tmp_path, 150), refit=REFIT)
    real: Callable[..., Any] = getattr(module, step)

    def kill(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            real(*arguments, **options)
        raise Killed

    monkeypatch.setattr(module, step, kill)
    with pytest.raises(Killed):
        run_cycle(asked)
    monkeypatch.setattr(module, step, real)
    assert asked.registry.versions() == []
    assert run_cycle(asked).version == "1"
    assert asked.registry.versions() == ["1"]
    assert lists_of(asked) == undisturbed


def test_cycle_that_was_killed_after_it_published_publishes_nothing_again(tmp_path: Path) -> None:
    asked = request(tmp_path, raw_log(tmp_path, 150))
    first, again = run_cycle(asked), run_cycle(asked)
    assert (again.version, asked.registry.versions()) == ("1", ["1"])
    assert (again.gate, again.refitted, again.checkpoints) == (first.gate, first.refitted, first.checkpoints)
