"""Small helpers around other processes and waiting: every wait has a deadline and says what it waited for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["DeadlineExceeded", "end_process", "free_port", "start_process", "tail", "wait_for"]

GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
LEAST_PORT = 10_000  # above those that services have by custom, mostly
_CHOICE = random.SystemRandom()  # not seeded: test processes side by side would all look at the same ports
_PR_SET_PDEATHSIG = 1  # Linux: signal sent to a process whose parent thread ends
_T = TypeVar("_T")


class DeadlineExceeded(AssertionError):
    """What was waited for did not come in time."""


def wait_for(what: str, probe: Callable[[], _T | None], deadline_s: float = 30.0, every_s: float = 0.05) -> _T:
    """Return the first truthy result of `probe`; DeadlineExceeded, naming `what`, after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            raise DeadlineExceeded(f"not within {deadline_s:g} s: {what}")
        time.sleep(every_s)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody has now.

    Where the system tells, it is none of those that connections are given: one of them took such a port now and then,
    between this look and the start of the server that it was for.
    """
    for port in _CHOICE.sample(range(LEAST_PORT, _first_given()), 50):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def _first_given() -> int:
    """Return the first port that connections are given; 32,768, as Linux has it, where nothing tells."""
    try:
        first = int(GIVEN.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 32_768
    return first if first > 2 * LEAST_PORT else 65_536


def start_process(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a child, with options of Popen, that ends with this thread: a test run that is killed leaves nothing behind
    (Linux only, else it does).

    What has a function run in the child copies this process for it, which takes a tenth of a second where tests have
    filled it; so it is setpriv that runs there, if it can be had.
    """
    if _can_set_signal():
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **options)
    return subprocess.Popen(command, preexec_fn=_die_with_parent, **options)


@cache
def _can_set_signal() -> bool:
    try:
        return (
            subprocess.run(["setpriv", "--pdeathsig", "KILL", "true"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_process(process: subprocess.Popen[bytes], grace_s: float = 15.0) -> int:
    """Ask a process to end, insist after `grace_s`, and return its exit status."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def tail(path: Path, lines: int = 40) -> str:
    """Return the last lines of a log, for an error message."""
    if not path.exists():
        return "(no output)"
    text = path.read_text(errors="replace").splitlines()
    return os.linesep.join(text[-lines:]) or "(no output)"
