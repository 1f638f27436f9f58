"""Processes of nextclick at a fifth of the price: copies of one that has loaded everything, in place of new ones.

A worker needs a core for a second before it runs a line of its own, for imports; tests start more than a hundred. Here
a *server* imports once, and each process is a fork of it that goes on as `python -m nextclick` would: its own
arguments, environment, folder, streams, exit code; a child of the process that asked, which it ends with. Nothing runs
in the server but the import, no thread, no librdkafka, no session of ONNX Runtime: there is nothing that a fork
could break. What is alike in all forks is the order of sets of strings. Linux only, as are its two calls of prctl.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.rig.brokers.process import end_process, start_process

__all__ = ["Forks", "ServerEnded"]

_ROOT = Path(__file__).parents[2]
_SERVED = ("-m", "nextclick")  # what Python runs; anything else is started for real
_LOADED = (
    "cli.app",
    "stream.worker",
    "stream.scoreboard.service",
    "stream.feedback.service",
    "stream.serve.service",
    "faust.assignor.partition_assignor",  # Faust loads it when it is needed
)
_PERHAPS = ("pydantic.type_adapter",)  # as newer versions of Typer do
# Read when they are needed, set by our own imports in any process or by the rig; others may be read by an import
_PASSED_ON = {
    "TMPDIR",
    "PYTEST_CURRENT_TEST",
    "GOMP_SPINCOUNT",
    "ORT_DISABLE_TELEMETRY",
    "TORCHINDUCTOR_CACHE_DIR",
    "TESTCONTAINERS_RYUK_DISABLED",
}
_SUBREAPER, _PARENT_DEATH = 36, 1  # PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG
_LARGEST = 200_000  # bytes of a request: one packet
_ADOPTED_S = 10.0


class ServerEnded(RuntimeError):
    """The server that forks has ended, though nobody asked it to."""


class Forks:
    """Starts processes like `start_process`, by a server of its own, which begins with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = _imported_by(os.environ)
        self.forked = 0

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """A process with these options of Popen: cwd, env, and streams."""
        if not self._serves(command, options.get("env", os.environ)):
            return start_process(command, **options)
        with self._lock:
            try:
                process = self._fork(command, options)
            except ServerEnded:  # killed from outside, as by the kernel where memory is short: another does it
                ended = self._server.wait() if self._server is not None else None
                print(f"the server that forks has ended with {ended}; another begins", file=sys.stderr, flush=True)
                self.close()
                process = self._fork(command, options)
            self.forked += 1
            return process

    def _fork(self, command: Sequence[str], options: dict[str, Any]) -> subprocess.Popen[bytes]:
        self._begin()
        return _Forked(self._socket, command, **options)

    def close(self) -> None:
        if self._server is not None:
            self._socket.close()
            end_process(self._server)
            self._server = None

    def _serves(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether a fork would be the same: what an import reads of the environment is as it was for the server."""
        return (
            sys.platform == "linux"
            and tuple(command[:3]) == (sys.executable, *_SERVED)
            and _imported_by(environment) == self._environment
        )

    def _begin(self) -> None:
        if self._server is not None:
            return
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "bench.rig.forks", str(theirs.fileno())]
        nothing = subprocess.DEVNULL
        environment = self._environment | {"OPENBLAS_NUM_THREADS": "1"}  # else numpy's import starts threads
        with theirs:
            self._server = start_process(
                command, cwd=_ROOT, env=environment, pass_fds=[theirs.fileno()], stdin=nothing, stdout=nothing
            )


class _Forked(subprocess.Popen[bytes]):
    """A process that the server forks and this process is made the parent of; all else is as with Popen."""

    def __init__(self, server: socket.socket, command: Sequence[str], **options: Any) -> None:
        self._asked = server
        super().__init__(command, **options)

    def _execute_child(self, args: Sequence[str], *rest: Any) -> None:
        """Seam: what Popen starts a process by, with its streams made and numbered (Python 3.11 to 3.13)."""
        cwd, environment, ends = rest[4], rest[5], rest[9:15]
        streams = [end if end >= 0 else number for number, end in enumerate(ends[i] for i in (0, 3, 5))]
        asked = {"argv": list(args[1:]), "cwd": str(cwd or Path.cwd()), "env": dict(environment or os.environ)}
        with _adopting():
            answer = _ask(self._asked, json.dumps(asked | {"parent": os.getpid()}).encode(), streams)
        self.pid, self._child_created = int(answer), True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def _ask(server: socket.socket, content: bytes, streams: Sequence[int]) -> bytes:
    """The number of the process, in digits."""
    with contextlib.suppress(ConnectionError):
        socket.send_fds(server, [content], streams)
        if answer := server.recv(64):
            return answer
    raise ServerEnded("the server that forks has ended; what it said stands in the output")


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """Orphans below this process become its children meanwhile."""
    _prctl(_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_SUBREAPER, 0)


def _imported_by(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a module may look at when it is imported; our own settings are options, later."""
    return {
        name: text for name, text in environment.items() if name not in _PASSED_ON and not name.startswith("NEXTCLICK_")
    }


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _serve(asking: socket.socket) -> dict[str, Any]:
    """Fork for each request until nobody can ask any more. It returns in the forks only: what they were asked for."""
    for module in _LOADED:
        importlib.import_module(module)
    for module in _PERHAPS:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise RuntimeError(f"the import of {', '.join(_LOADED)} left {threads - 1} threads: no fork has them")
    gc.collect()
    gc.freeze()  # a fork that looks for garbage, or ends, copies none of it
    while True:
        content, streams, _, _ = socket.recv_fds(asking, _LARGEST, 3)
        if not content:
            os._exit(0)
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            child = os.fork()
            if child == 0:
                asking.close()
                asked: dict[str, Any] = json.loads(content)
                _become(asked, streams)
                return asked
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)
        for end in (*streams, writing):
            os.close(end)
        asking.send(os.read(reading, 64))
        os.close(reading)


def _become(asked: dict[str, Any], streams: Sequence[int]) -> None:
    """This fork is what was asked for, as if it had been started so."""
    _end_with(asked["parent"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    time.tzset()
    tempfile.tempdir = None
    sys.orig_argv = [sys.executable, *asked["argv"]]
    sys.argv = asked["argv"][1:]


def _end_with(parent: int) -> None:
    """The kernel kills this fork when its parent ends; a parent that ended before it was told so is noticed here."""
    end = time.monotonic() + _ADOPTED_S
    while os.getppid() != parent:  # the one between is ending
        if time.monotonic() > end:
            os._exit(1)  # who asked has ended too
        time.sleep(0.0005)
    _prctl(_PARENT_DEATH, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    _request = _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(_request["argv"][1], run_name="__main__", alter_sys=True)
