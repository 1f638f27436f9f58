"""A refit within a budget: what is published learned the rest of it, from the start, on all that was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.bundle.bundle import CARD, load_bundle
from export.bundle.manifest import Lineage
from export.registry.registry import Registry
from model.auto.budget import Budget
from model.cycle.config import RefitConfig
from model.reports.progress import Progress
from tests.model.test_training_run import published, request
from tests.model.tiny import tiny_preset

pytestmark = pytest.mark.slow

LOOSE = RefitConfig(min_overlap=0.0, tolerance=1.0)  # so small a training's lists change whatever is done
BY_EVIDENCE = {"schedule": "stable", "validate_epochs": False, "epochs": 30, "patience": 0}


def trained(folder: Path, steps: int, **options: object) -> tuple[Lineage, list[str], str, float]:
    """Return what came of a budget of so many steps: lineage, what was said of the refit, the card, judged passes."""
    said: list[Progress] = []
    preset = tiny_preset(layers=1, **{**BY_EVIDENCE, **options})
    summary = published(request(folder, preset, refit=LOOSE, budget=Budget(steps=steps)), said.append)
    registry = Registry(str(folder / "registry"))
    lineage = load_bundle(registry.fetch(summary.version)).manifest.lineage
    assert lineage is not None
    told = [report.message for report in said if report.stage == "refit" and report.message]
    return lineage, told, (registry.card(summary.version, CARD) or b"").decode(), summary.epochs


def test_a_budget_s_refit_learns_twice_as_long_as_what_is_judged_and_the_card_says_so(tmp_path: Path) -> None:
    lineage, told, card, judged = trained(tmp_path, 60)
    assert lineage.refit is not None
    assert lineage.refit.refitted
    assert lineage.refit.longer == pytest.approx(2.0, abs=0.1)
    assert "from the start again, 40 steps at most" in told[0]
    assert "They learned 2.0 times as long" in card
    assert trained(tmp_path, 120)[3] == pytest.approx(2 * judged, rel=0.1), "a longer budget is no longer the same one"


def test_a_refit_takes_no_more_steps_than_were_asked_for_by_hand(tmp_path: Path) -> None:
    lineage, told, _, _ = trained(tmp_path, 90, max_steps=20)
    assert lineage.refit is not None
    assert lineage.refit.longer == pytest.approx(1.0, abs=0.1)
    assert "20 steps at most" in told[0]
