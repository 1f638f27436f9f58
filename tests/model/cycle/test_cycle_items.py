"""A cycle that is given items: what nobody has clicked is published, and refuses no candidate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.bundle.bundle import load_bundle
from model.cycle.cycle import run_cycle
from tests.model.cycle.shop import LENIENT, REFIT, joined, raw_log, request

pytestmark = pytest.mark.slow


def items_file(folder: Path, newcomers: int) -> Path:
    names = [*(f"item-{n}" for n in range(1, 41)), *(f"new-{n}" for n in range(newcomers))]
    groups = [[f"g{n % 4}"] for n in range(len(names))]
    pq.write_table(pa.table({"item_id": names, "attributes": groups}), folder / "items.parquet")
    return folder / "items.parquet"


def test_cycle_with_items_publishes_newcomers_though_they_thin_its_coverage(tmp_path: Path) -> None:
    first = run_cycle(request(tmp_path, raw_log(tmp_path, 200)))
    assert first.version == "1"
    newer = joined(tmp_path, raw_log(tmp_path, 200), raw_log(tmp_path, 150, seed=3, first=200))
    strict = dataclasses.replace(LENIENT, min_coverage=0.9)
    options = {"items": items_file(tmp_path, 200), "refit": REFIT, "parent": first.checkpoints, "gate": strict}
    asked = request(tmp_path, newer, "c2", **options)
    result = run_cycle(asked)
    assert result.version == "2", result.gate.reasons
    assert result.gate.live is not None, "it was compared"
    assert result.refitted
    bundle = load_bundle(asked.registry.fetch("2"))
    assert len(bundle.vocabulary) == 240
    assert bundle.features is not None
    assert not bundle.popularity[40:].any()
