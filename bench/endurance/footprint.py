"""What processes and folders take, sampled while they work."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Footprint", "children_mb", "folder_mb", "rss_mb"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def children_mb(pid: int) -> float:
    """The same of the processes that it has started and that still run, all together."""
    found = 0.0
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += sum(rss_mb(int(child)) for child in file.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def folder_mb(folder: Path) -> float:
    """Size of all files below a folder, in MB."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # removed meanwhile
            continue
    return found / 1e6


class Footprint:
    """Asks each probe every `every_s` for the length of a `with` block; `series` are there after it, and meanwhile."""

    def __init__(self, probes: Mapping[str, Callable[[], float]], every_s: float = 1.0) -> None:
        self._probes, self._every_s = dict(probes), every_s
        self.at: list[float] = []  # time.monotonic(), s
        self.values: dict[str, list[float]] = {name: [] for name in probes}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="footprint", daemon=True)

    def __enter__(self) -> Footprint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def series(self, name: str, until: float = float("inf")) -> NDArray[np.float64]:
        """float64 (N,): the samples of a probe, up to a moment of time.monotonic()."""
        count = sum(at <= until for at in self.at)
        return np.array(self.values[name][:count])

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            found = {name: probe() for name, probe in self._probes.items()}
            for name, value in found.items():
                self.values[name].append(value)
            self.at.append(time.monotonic())
