"""What memory and disk this process may still take, by what the system and its container allow."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

__all__ = ["CGROUP", "MEMINFO", "disk_left", "memory_left"]

MEMINFO = Path("/proc/meminfo")  # Linux only
CGROUP = Path("/sys/fs/cgroup")  # the container's own, as a container sees it
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def memory_left() -> int | None:
    """Return the bytes that can be taken before the system, or the container, runs out; None where nothing says."""
    found = [left for left in (_of_the_system(), *map(_of_a_group, _LIMITS)) if left is not None]
    return min(found, default=None)


def disk_left(folder: Path) -> int | None:
    """Return the free bytes where `folder` is or will be; None where it can't be asked."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _of_the_system() -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else int(found[1]) * 2**10


def _of_a_group(files: tuple[str, str, str]) -> int | None:
    """Limit less use, but for cached files, which give way."""
    try:
        limit, used, stat = ((CGROUP / name).read_text() for name in files)
    except OSError:
        return None
    if not limit.strip().isdigit() or not used.strip().isdigit():
        return None  # "max"
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)
    return max(0, int(limit) - int(used) + (0 if cached is None else int(cached[1])))
