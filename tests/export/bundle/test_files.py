"""What is no file, or too large a one, is refused at once and without being read."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from export.bundle.files import UnusableFile, leave_in_file, open_regular, read_small


@pytest.fixture(params=["folder", "FIFO", "socket", "device"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """Something at a path that a reader could wait for or read from for ever."""
    path, kind = tmp_path / "it", str(request.param)
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    return path, kind


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_without_waiting(no_file: tuple[Path, str]) -> None:
    path, kind = no_file
    with pytest.raises(UnusableFile, match=f"a {kind}, not a file"):
        open_regular(path)


def test_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"abcd")
    assert read_small(tmp_path / "it", 4) == b"abcd"
    with pytest.raises(UnusableFile, match="larger than the 3 bytes"):
        read_small(tmp_path / "it", 3)
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "none", 3)


def test_mapped_array_leaves_memory_and_is_read_again(tmp_path: Path) -> None:
    np.save(tmp_path / "it.npy", np.arange(100_000))
    for mapped in (np.load(tmp_path / "it.npy", mmap_mode="r"), np.load(tmp_path / "it.npy")):
        assert int(mapped.sum()) == 4_999_950_000
        leave_in_file(mapped[5:])
        assert int(mapped.sum()) == 4_999_950_000
