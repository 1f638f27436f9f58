"""What memory and disk are left: the least of what the system and the container say."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.machine import room
from model.machine.room import disk_left, memory_left

SYSTEM = "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the control groups, of a system with 8 GB left."""
    (tmp_path / "meminfo").write_text(SYSTEM)
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(room, "CGROUP", tmp_path)
    return tmp_path


def limit(folder: Path, name: str, most: str, used: str, stat: str) -> None:
    files = {"v2": ("max", "current", ""), "v1": ("limit_in_bytes", "usage_in_bytes", "memory/")}
    of_limit, of_use, below = files[name]
    (folder / below).mkdir(exist_ok=True)
    for file, text in ((f"memory.{of_limit}", most), (f"memory.{of_use}", used), ("memory.stat", stat)):
        (folder / below / file).write_text(text + "\n")


def test_memory_left_without_a_limit_is_the_systems(said: Path) -> None:
    assert memory_left() == 8_000_000 * 1024
    limit(said, "v2", "max", "5", "inactive_file 3")
    assert memory_left() == 8_000_000 * 1024


@pytest.mark.parametrize(("name", "prefix"), [("v2", ""), ("v1", "total_")])
def test_memory_left_in_a_container_is_its_limit_less_what_is_no_cache(said: Path, name: str, prefix: str) -> None:
    limit(said, name, str(1 << 30), str(900 << 20), f"anon 5\n{prefix}inactive_file {200 << 20}\nactive_file 7")
    assert memory_left() == (1 << 30) - (700 << 20)
    limit(said, name, str(1 << 30), str(2 << 30), "")
    assert memory_left() == 0


def test_memory_left_where_nothing_says_is_unknown(said: Path) -> None:
    (said / "meminfo").unlink()
    assert memory_left() is None


def test_disk_left_of_a_folder_to_be_made_is_that_of_where_it_will_be(tmp_path: Path) -> None:
    found = disk_left(tmp_path / "not" / "yet")
    assert found is not None
    assert found > 0
