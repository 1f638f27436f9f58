"""CPU seconds and memory of other processes, read from /proc while they run: what a busy machine distorts less."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_EVERY_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(stat: str) -> float:
    """User and system time in the text of /proc/PID/stat; its second field may hold spaces and brackets."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_of(running: Sequence[subprocess.Popen[bytes]]) -> float:
    """CPU seconds that processes have used so far, their threads included; NaN where the system has no /proc."""
    return sum(_read(process.pid) for process in running)


class CpuSampler(threading.Thread):
    """Samples the CPU time of processes, all their threads included, until it is closed."""

    def __init__(self, pids: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._pids = pids
        self._samples: list[tuple[float, float]] = []  # Unix time, CPU seconds so far
        self._closed = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._closed.is_set():
            self._samples.append((time.time(), sum(_read(pid) for pid in self._pids)))
            self._closed.wait(_EVERY_S)

    def between(self, start: float, end: float) -> float:
        """CPU seconds used from `start` to `end`, in Unix time; NaN where the system has no /proc."""
        at, used = np.array(self._samples).T
        return float(np.interp(end, at, used) - np.interp(start, at, used))

    def close(self) -> None:
        """Stop sampling."""
        self._closed.set()
        self.join()


def _read(pid: int) -> float:
    try:
        return cpu_seconds(Path(f"/proc/{pid}/stat").read_text())
    except ProcessLookupError:
        return 0.0
    except FileNotFoundError:
        return float("nan")


def peak_mb_of(running: Sequence[subprocess.Popen[bytes]]) -> float:
    """Their largest resident memory so far, MB (10^6 bytes) of all together; 0 where the system has no /proc."""
    return round(sum(_peak_bytes(one.pid) for one in running) / 1e6, 1)


def _peak_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
