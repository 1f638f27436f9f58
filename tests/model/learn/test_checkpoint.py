"""A checkpoint is the one saved last, whole, or it is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from model.errors import CheckpointError
from model.learn import checkpoint

STATE = {"step": 3, "weights": {"a": torch.arange(5.0)}, "best": None, "history": [{"epoch": 1.0}]}


def test_checkpoint_saved_state_comes_back_equal(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "new", STATE)
    loaded = checkpoint.load(tmp_path / "new")
    assert torch.equal(loaded["weights"]["a"], torch.arange(5.0))
    assert (loaded["step"], loaded["best"], loaded["history"]) == (3, None, [{"epoch": 1.0}])


def test_checkpoint_save_replaces_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, STATE)
    checkpoint.save(tmp_path, {"step": 4})
    assert checkpoint.load(tmp_path)["step"] == 4
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


def test_checkpoint_prune_keeps_the_newest_and_what_was_just_written(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / str(number) / "member-1"
        checkpoint.save(folder, STATE)
        (folder / "metrics.jsonl").touch()
        written = 10_000.0 + number if number else time.time()
        os.utime(folder / checkpoint.FILE, (written, written))
    checkpoint.prune(tmp_path, keep=3, idle_s=60)
    kept = [number for number in range(6) if checkpoint.exists(tmp_path / str(number) / "member-1")]
    assert kept == [0, 4, 5]
    assert len(list(tmp_path.rglob("metrics.jsonl"))) == 6
    checkpoint.prune(tmp_path / "none", keep=1, idle_s=60)
    checkpoint.prune(tmp_path, keep=0, idle_s=60)
    assert [path.parent.parent.name for path in tmp_path.rglob(checkpoint.FILE)] == ["0"]


@pytest.mark.parametrize("keep", [0, 10, 50, 200])
def test_checkpoint_truncated_is_refused(tmp_path: Path, keep: int) -> None:
    checkpoint.save(tmp_path, STATE)
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path)


def test_checkpoint_one_altered_byte_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, STATE)
    path = tmp_path / checkpoint.FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="altered"):
        checkpoint.load(tmp_path)


def test_checkpoint_missing_is_refused(tmp_path: Path) -> None:
    assert not checkpoint.exists(tmp_path)
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path)


def test_checkpoint_into_a_file_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError):
        checkpoint.save(tmp_path / "file", STATE)
