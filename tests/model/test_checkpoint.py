"""A checkpoint is the one saved last, whole, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model import checkpoint
from model.errors import CheckpointError

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
