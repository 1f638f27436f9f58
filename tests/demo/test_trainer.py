"""What the demo tells of its trainer: its options, its step, and what it decided."""

import json
from pathlib import Path

import pytest

from demo import trainer
from demo.trainer import TrainerConfig, TrainerService


class Idle:
    """A child that does nothing."""

    def __init__(self, name: str, args: list[str], scratch: Path) -> None:
        self.args = args

    def check_running(self) -> None:
        return None

    def stop(self) -> None:
        return None


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainerService:
    monkeypatch.setattr(trainer, "Child", Idle)
    registry = tmp_path / "registry"
    return TrainerService(TrainerConfig(), bootstrap="b:1", data=tmp_path / "log", registry=registry, folder=tmp_path)


def decide(folder: Path, **values: object) -> None:
    file = folder / "registry" / ".trainer" / "decisions.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(json.dumps({"cycle": "default-000002", "mode": "fresh", "ts": 1, **values}) + "\n")


def test_decisions_are_told_once_and_only_those_without_a_version(service: TrainerService, tmp_path: Path) -> None:
    assert service.decisions() == []
    decide(tmp_path, outcome="published", version="1", gate={"passed": True, "reasons": ["a is above b"]})
    decide(tmp_path, outcome="refused", gate={"passed": False, "reasons": ["a is below b", "c"]})
    decide(tmp_path, outcome="failed", error="no disk")
    assert service.decisions() == [
        "fresh training default-000002 refused: a is below b; c",
        "fresh training default-000002 failed: no disk",
    ]
    assert service.decisions() == []


def test_training_before_its_first_word_starts_and_a_long_step_is_cut(service: TrainerService) -> None:
    assert service.training() is None, "no answer yet: it starts"
    service._look_at = float("inf")
    service._health = {"cycle": "default-000001", "step": ""}
    found = service.training()
    assert found is not None
    assert (found.label, found.detail) == ("version 1", "starts")
    service._health["step"] = "gate: " + "many words " * 30
    found = service.training()
    assert found is not None
    assert found.detail.endswith(" …")
    assert len(found.detail) <= 90


def test_options_are_those_of_the_command() -> None:
    options = TrainerConfig(fresh_every_s=1.5, seed=7).options()
    assert options[0] == "--no-refit"
    assert options[options.index("--fresh-every") + 1] == "1.5s"
    assert options[options.index("--seed") + 1] == "7"
