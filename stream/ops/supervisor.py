"""Several worker processes on one machine, each started again when it ends.

    a worker ends by itself, or is killed     it is started again: at once if it ran for a minute, else after a pause
                                              that doubles from 1 to 30 s
    it ends with exit code 2                  what it was told is wrong, or a topic is missing: no restart can mend it,
                                              so all end, with that code; not so where it has worked for a minute before
    SIGTERM or SIGINT                         passed on; exit code 0 once every worker has ended orderly, else 1

The partitions of a worker that ends go to the others until it is back. The supervisor holds no connection and no state.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from export.cores import usable_cores
from export.errors import ConfigError
from stream.ops.signals import StopSignal

__all__ = ["Backoff", "SupervisorConfig", "supervise"]

log = logging.getLogger(__name__)

EXIT_WRONG_INPUT = 2
_POLL_S = 0.1
_STEADY_S = 60.0  # a worker that ran for so long is started again at once
_PAUSES_S = (1.0, 30.0)  # before a restart: the first one, and the longest
_END_S = 45.0  # for a worker to end once asked to; it gives itself 30
_PR_SET_PDEATHSIG = 1  # Linux: the signal a process gets when its parent ends


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorConfig:
    """How many workers, and what each gets of the machine."""

    processes: int
    web_port: int = 8080  # of the first worker, the next ones follow; 0: any free ones
    threads: int = 0  # of the graph of each worker; 0: the cores, divided

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ConfigError(f"at least one process must run, not {self.processes}")
        if self.web_port and self.web_port + self.processes > 65_536:
            raise ConfigError(f"there are not {self.processes} web ports from {self.web_port} on")

    def options(self, number: int) -> list[str]:
        """What the command line of worker `number` (from 0) ends with; the last mention of an option counts."""
        port = self.web_port + number if self.web_port else 0
        threads = self.threads or max(1, usable_cores() // self.processes)
        return ["--processes", "0", "--web-port", str(port), "--threads", str(threads)]


class Backoff:
    """How long to wait before a worker is started again."""

    def __init__(self) -> None:
        self._pause_s = _PAUSES_S[0]

    def after(self, lived_s: float) -> float:
        """The pause in seconds, after a life of `lived_s`."""
        if lived_s >= _STEADY_S:
            self._pause_s = _PAUSES_S[0]
            return 0.0
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _PAUSES_S[1])
        return pause_s


class _Worker:
    """One place, and the process that fills it."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number, self._command = number, command
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = self._due_at = 0.0
        self._proven = False  # one of its processes ran for a minute, so that what it is told is right

    def start_if_due(self, now: float) -> None:
        if self._process is None and now >= self._due_at:
            # The supervisor has one thread, so that code between fork and exec is safe
            tied = partial(_end_with, os.getpid())
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, preexec_fn=tied)
            self._started_at = now
            log.info("worker %d started, process %d", self.number, self._process.pid)

    def ended(self, now: float) -> int | None:
        """The exit code, once, of a process that has ended; its next start is due after a pause.

        Of a worker that has proven itself, wrong input counts as any other failure: a port may be in use for a while.
        """
        code = self._process.poll() if self._process is not None else None
        if code is None:
            return None
        lived_s = now - self._started_at
        pause_s = self._backoff.after(lived_s)
        self._process, self._due_at = None, now + pause_s
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        log.warning("worker %d %s after %.0f s; next start in %.0f s", self.number, how, lived_s, pause_s)
        code = 1 if self._proven and code == EXIT_WRONG_INPUT else code
        self._proven = self._proven or lived_s >= _STEADY_S
        return code

    def ask_to_end(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def wait(self, deadline: float) -> bool:
        """Whether the process, asked to end, did so orderly; it is killed at the deadline (time.monotonic())."""
        if self._process is None:
            return True
        try:
            code = self._process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code in (0, -signal.SIGTERM):  # the latter before it had begun
            return True
        log.warning("worker %d did not end orderly: exit code %d", self.number, code)
        return False


def supervise(command: Sequence[str], config: SupervisorConfig, stop: StopSignal | None = None) -> int:
    """Keep `config.processes` of `command` running until a signal comes; the exit code of the supervisor."""
    stop = stop or StopSignal()
    workers = [_Worker(number, [*command, *config.options(number)]) for number in range(config.processes)]
    code: int | None = None
    try:
        while code != EXIT_WRONG_INPUT and not stop.event.wait(_POLL_S):
            now = time.monotonic()
            for worker in workers:
                worker.start_if_due(now)
                code = worker.ended(now)
                if code == EXIT_WRONG_INPUT:
                    log.error("worker %d cannot run as it was told to; the others end too", worker.number)
                    break
    finally:
        orderly = _end(workers)
    return EXIT_WRONG_INPUT if code == EXIT_WRONG_INPUT else int(not orderly)


def _end(workers: Sequence[_Worker]) -> bool:
    """Ask all to end at once, and wait for each; whether all of them did so orderly."""
    for worker in workers:
        worker.ask_to_end()
    deadline = time.monotonic() + _END_S
    orderly = [worker.wait(deadline) for worker in workers]  # all of them, also behind one that is not
    return all(orderly)


def _end_with(parent: int) -> None:
    """In the child: a supervisor that is killed, be it just now, leaves no workers behind that nobody restarts. Linux
    only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
