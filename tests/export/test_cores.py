"""Cores by affinity and by the quota of a container, in the files of both versions of control groups."""

import os
from pathlib import Path

import pytest

from export.cores import cpu_quota, usable_cores


def written(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def groups(folder: Path, *lines: str) -> tuple[Path, Path]:
    """The process' groups, and where they are mounted."""
    (folder / "cgroup").write_text("".join(f"{line}\n" for line in lines))
    return folder / "cgroup", folder / "mounted"


@pytest.mark.parametrize(
    ("text", "quota"), [("200000 100000", 2.0), ("50000 100000", 0.5), ("max 100000", None), ("nonsense", None)]
)
def test_quota_of_version_2_is_that_of_cpu_max(tmp_path: Path, text: str, quota: float | None) -> None:
    written(tmp_path / "mounted", cpu__max=text)
    assert cpu_quota(*groups(tmp_path, "0::/")) == quota


def test_smallest_quota_of_the_groups_above_counts(tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    written(place / "kubepods" / "pod7" / "main", cpu__max="400000 100000")
    written(place / "kubepods" / "pod7", cpu__max="150000 100000")
    written(place / "kubepods", cpu__max="max 100000")
    assert cpu_quota(*groups(tmp_path, "0::/kubepods/pod7/main")) == 1.5


def test_quota_of_version_1_is_read_of_its_controller(tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    written(place / "cpu,cpuacct" / "docker" / "ab", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    written(place / "cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    where = groups(tmp_path, "4:memory:/docker/ab", "2:cpu,cpuacct:/docker/ab", "0::/")
    assert cpu_quota(*where) == 3.0


def test_group_of_the_host_that_is_not_visible_in_the_container_is_passed_over(tmp_path: Path) -> None:
    written(tmp_path / "mounted", cpu__max="200000 100000")  # the container's own is mounted at the root
    assert cpu_quota(*groups(tmp_path, "0::/system.slice/docker-ab.scope")) == 2.0
    assert cpu_quota(*groups(tmp_path, "0::/../other")) == 2.0


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (2.0, 2), (1.2, 2), (0.25, 1), (64.0, 8)])
def test_usable_cores_are_the_fewer_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("export.cores.cpu_quota", lambda: quota)
    assert usable_cores() == cores


def test_all_parts_ask_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of graphs, of scans, of torch and of supervised workers."""
    from export.ranking import runtime
    from export.scan import scan
    from model.machine import threads
    from stream.ops import supervisor

    for module in (runtime, scan, threads, supervisor):
        assert module.usable_cores is usable_cores
    monkeypatch.setattr(runtime, "usable_cores", lambda: 3)
    assert runtime._options(threads=0, spin=False).intra_op_num_threads == 3
