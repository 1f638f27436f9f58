"""A cycle that had published before: its version is found, whoever removed it, and nothing is trained again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.rig.toy import toy_bundle
from export.bundle.manifest import Lineage
from export.registry.retention import prune
from model.bundling import with_manifest
from model.cycle import cycle as module
from model.cycle.cycle import run_cycle
from model.cycle.gate import GateReport
from model.cycle.request import CycleRequest
from tests.model.cycle.shop import raw_log, request

GATE = GateReport(passed=True, reasons=("better",), candidate={"recall@20": 0.5}, live=None)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CycleRequest:
    """A cycle that has published version 1; that one trains is an error."""

    def train(*_: object, **__: object) -> None:
        raise AssertionError("it is trained again")

    monkeypatch.setattr(module, "train_preset", train)
    asked = request(tmp_path, raw_log(tmp_path, 20))
    bundle = toy_bundle(tmp_path / "toy")
    lineage = Lineage(cycle=asked.cycle, gate=GATE.to_json(), seconds=12.5)
    asked.registry.publish(with_manifest(bundle, msgspec.structs.replace(bundle.manifest, lineage=lineage)).path)
    return asked


def test_cycle_that_had_published_says_what_it_found_and_how_long_it_took(asked: CycleRequest) -> None:
    result = run_cycle(asked)
    assert (result.version, result.gate, result.seconds) == ("1", GATE, 12.5)


def test_cycle_whose_version_was_pruned_is_over(asked: CycleRequest, tmp_path: Path) -> None:
    asked.registry.publish(toy_bundle(tmp_path / "newer").path)
    assert prune(asked.registry, keep=1) == ["1"]
    result = run_cycle(asked)
    assert (result.version, result.gate.passed) == (None, False)
    assert "had published version 1, which was removed" in result.gate.reasons[0]
    assert asked.registry.versions() == ["2"]
