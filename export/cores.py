"""How many cores this process may use: by its affinity, and by the CPU quota of the container that it runs in.

A container that was given two CPUs on a machine of 64 sees all 64, and threads by that number are stopped by the quota
most of the time. The quota stands in the control group of the process, or of one above it:

    cpu.max                         "200000 100000" or "max 100000": quota and period, in microseconds (version 2)
    cpu.cfs_quota_us, cfs_period_us                                                    (version 1; -1: no quota)

A part of a core counts as one. Where this is wrong, `--threads` says it.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota", "usable_cores"]

_GROUPS, _MOUNTED = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return how many cores' worth of threads make sense; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def cpu_quota(groups: Path = _GROUPS, mounted: Path = _MOUNTED) -> float | None:
    """Return the smallest quota of the control groups that this process is in, in cores; None without one."""
    found = [quota for folder in _folders(groups, mounted) if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def _folders(groups: Path, mounted: Path) -> Iterator[Path]:
    """Every folder that may hold a quota: of the group, and of those above it, as far as they are visible here."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root in (mounted / controllers, mounted / "cpu") if controllers else (mounted,):
            inside = PurePosixPath(path.lstrip("/"))
            yield from (root / one for one in (inside, *inside.parents) if ".." not in one.parts)


def _quota(folder: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        given = int((folder / "cpu.cfs_quota_us").read_text())
        return given / int((folder / "cpu.cfs_period_us").read_text()) if given > 0 else None
    return None
