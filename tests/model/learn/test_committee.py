"""Encoders of a committee are trained apart, with checkpoints of their own, and rank together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from model.config import Preset
from model.errors import CheckpointError
from model.learn import checkpoint, committee
from model.learn.committee import checkpoints, train_preset
from model.learn.train import train
from model.learn.trained import Trained
from model.learn.validation import validate
from model.reports.progress import Progress
from tests.model.tiny import tiny_committee, tiny_log, tiny_preset

pytestmark = pytest.mark.slow

LOG, VALID = tiny_log(200), tiny_log(40, seed=1)


def trained(directory: Path | None = None, **options: Any) -> Trained:
    return train_preset(LOG, VALID, tiny_committee(epochs=1), run="r", directory=directory, **options)


@dataclass(frozen=True)
class Whole:
    """A committee that nothing befell: what was trained, where its checkpoints are, and what was said."""

    trained: Trained
    directory: Path
    said: list[Progress]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory, said = tmp_path_factory.mktemp("whole"), list[Progress]()
    return Whole(trained(directory, on_progress=said.append), directory, said)


def assert_same(one: Trained, other: Trained) -> None:
    for mine, theirs in zip(one.encoders, other.encoders, strict=True):
        assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in mine.state_dict().items())


def test_committee_of_one_is_its_encoder_trained_alone(tmp_path: Path) -> None:
    assert_same(train_preset(LOG, VALID, tiny_preset(), directory=tmp_path), train(LOG, VALID, tiny_preset()))
    assert list(checkpoints(tmp_path)) == [tmp_path]


def test_committee_validates_as_its_encoders_rank_together(whole: Whole) -> None:
    one, last = whole.trained, whole.said[-1]
    assert one.valid == validate(one.encoders, VALID, row=16)
    assert (last.stage, last.metrics, last.member) == ("validate", one.valid, "")
    assert {report.member for report in whole.said[:-1] if report.stage != "needs"} == {"1/2", "2/2"}
    assert len(one.history) == 2


def test_committee_seeds_differ_so_that_equal_encoders_learn_differently() -> None:
    preset = tiny_preset(epochs=1)
    twice = Preset(
        name="twice",
        encoder=preset.encoder,
        negatives=preset.negatives,
        train=preset.train,
        committee=(preset.encoder,),
    )
    first, second = train_preset(LOG, VALID, twice).encoders
    assert not torch.equal(first.table, second.table)
    assert torch.equal(first.table, train(LOG, VALID, preset).encoders[0].table)


def test_committee_repeats_itself(whole: Whole) -> None:
    assert_same(whole.trained, trained())


def test_committee_killed_in_its_second_encoder_goes_on_there(
    tmp_path: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any, **options: Any) -> Trained:
        if options["run"] == "r/2":
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(committee, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path)
    monkeypatch.undo()
    first = (tmp_path / "member-1" / checkpoint.FILE).stat()
    again = trained(tmp_path)
    assert (tmp_path / "member-1" / checkpoint.FILE).stat().st_mtime_ns == first.st_mtime_ns
    assert_same(again, whole.trained)
    assert list(checkpoints(tmp_path)) == [tmp_path / "member-1", tmp_path / "member-2"]


def test_committee_checkpoint_of_another_run_is_refused(whole: Whole) -> None:
    with pytest.raises(CheckpointError, match="another training"):
        train_preset(LOG, VALID, tiny_committee(epochs=1), run="other", directory=whole.directory)


def test_committee_shares_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float | None] = []

    def note(log: Any, valid: Any, preset: Preset, **options: Any) -> Trained:
        limits.append(preset.train.max_seconds)
        return train(log, valid, preset, **options)

    monkeypatch.setattr(committee, "train", note)
    whole = train_preset(LOG, VALID, tiny_committee(epochs=10_000, max_seconds=0.4))
    assert limits == [0.2, 0.2]
    assert whole.valid["predictions"] > 0


def test_committee_warm_start_takes_each_encoder_from_its_own(whole: Whole) -> None:
    preset = tiny_committee(epochs=1, seed=5)
    warm = train_preset(LOG, VALID, preset, init_from=whole.directory)
    cold = train_preset(LOG, VALID, preset)
    for one, other in zip(warm.history, cold.history, strict=True):
        assert one["loss"] < other["loss"]
