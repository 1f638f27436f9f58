"""The trainer and the worker as processes of their own, with what they print and a sure end.

Each runs in a session of its own: Ctrl-C in the terminal reaches the demo alone, which then ends them in order.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.errors import DemoError

__all__ = ["Child", "free_port", "wait_ready"]

TERM_S = 15.0  # a worker finishes what it has in flight and leaves its group
_TAIL = 15  # lines of a failed process repeated in the error
_POLL_S = 0.1
_ROOT = Path(__file__).parents[1]  # where nextclick.py lies, installed or not
_ENVIRONMENT = {
    "GOMP_SPINCOUNT": "1000",  # idle threads of the trainer leave the cores to the worker sooner than by default
    "PYTHONUNBUFFERED": "1",
}


class Child:
    """`python -m nextclick ARGS` while the block lasts. `on_line` hears each line of stderr, from a thread.

    Its temporary files go into `scratch`, since a process ended by force cannot remove them.
    """

    def __init__(
        self,
        name: str,
        args: Sequence[str],
        *,
        scratch: Path,
        on_line: Callable[[str], None] | None = None,
        nice: int = 0,
    ) -> None:
        self.name, self.args = name, list(args)
        self._on_line = on_line
        self._stdout: list[str] = []
        self._tail: deque[str] = deque(maxlen=_TAIL)
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nextclick", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path, "TMPDIR": str(scratch)},
            start_new_session=True,
        )
        if nice:
            with contextlib.suppress(OSError):  # over already
                os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
        self._readers = [
            threading.Thread(target=self._read_stdout, name=f"{name}-stdout", daemon=True),
            threading.Thread(target=self._read_stderr, name=f"{name}-stderr", daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process, as the system knows it."""
        return self._process.pid

    def check_running(self) -> None:
        """Raise DemoError, with what it printed last, if the process has ended."""
        if not self.running:
            raise self._failed()

    def result(self) -> str:
        """The last line of stdout of a process that has ended; DemoError if it failed."""
        code = self._process.wait()
        self._join_readers()
        if code != 0 or not self._stdout:
            raise self._failed()
        return self._stdout[-1]

    def stop(self) -> None:
        """End the process: politely, then by force. Returns when it is gone. May be repeated."""
        if self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TERM_S)
        with contextlib.suppress(ProcessLookupError):  # also what it may have started itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._join_readers()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens to one that has ended."""
        self._process.send_signal(number)

    def kill(self) -> int:
        """End it by SIGKILL, with what it may have started; the process that it was."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._join_readers()
        return self._process.pid

    def _failed(self) -> DemoError:
        code = self._process.wait()
        self._join_readers()
        tail = "\n".join(f"  {line}" for line in self._tail)
        return DemoError(f"the {self.name} ended with exit code {code}\n{tail}".rstrip())

    def _join_readers(self) -> None:
        for reader in self._readers:
            reader.join(1.0)

    def _read_stdout(self) -> None:
        for line in self._process.stdout or ():
            self._stdout[:] = [*self._stdout[-1:], line.strip()] if line.strip() else self._stdout

    def _read_stderr(self) -> None:
        for line in self._process.stderr or ():
            if text := line.rstrip():
                self._tail.append(text)
                if self._on_line is not None:
                    self._on_line(text)


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(child: Child, url: str, *, timeout_s: float, stopped: threading.Event) -> bool:
    """Return True once `url` answers 200, False if `stopped` was set; DemoError if the process ends, or is too slow."""
    deadline = time.monotonic() + timeout_s
    reason = "no answer"
    while not stopped.wait(_POLL_S):
        child.check_running()
        try:
            with urllib.request.urlopen(url, timeout=2.0):
                return True
        except urllib.error.HTTPError as error:
            reason = error.read(500).decode(errors="replace")
        except OSError:
            reason = "no answer"
        if time.monotonic() > deadline:
            raise DemoError(f"the {child.name} was not ready within {timeout_s:g} s: {reason}")
    return False
