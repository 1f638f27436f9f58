"""Worker processes as an operator starts them: `python -m nextclick worker`, watched through /health and their log."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.rig.brokers.process import DeadlineExceeded, end_process, free_port, start_process, tail, wait_for

__all__ = ["Worker", "cli", "started_by", "worker_command"]

_ROOT = Path(__file__).parents[2]
_starts: list[Callable[..., subprocess.Popen[bytes]]] = [start_process]  # the last is used


@contextlib.contextmanager
def started_by(start: Callable[..., subprocess.Popen[bytes]]) -> Iterator[None]:
    """Commands and workers are started so meanwhile: called like `start_process`."""
    _starts.append(start)
    try:
        yield
    finally:
        _starts.pop()


def cli(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a nextclick command to its end and return its exit code and output."""
    command = [sys.executable, "-m", "nextclick", *arguments]
    pipe = subprocess.PIPE
    with _starts[-1](command, cwd=_ROOT, env=_environment(), stdout=pipe, stderr=pipe) as process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output.decode(), errors.decode())


def worker_command(
    bootstrap: str, registry: Path, group: str, *options: str, port: int, program: Sequence[str] = ("-m", "nextclick")
) -> list[str]:
    """The command of a worker that notices soon what befalls its group; `program` is what Python runs."""
    where = ["--bootstrap-servers", bootstrap, "--registry", str(registry), "--group", group]
    lean = ["--web-port", str(port), "--threads", "1", "--broker-session-timeout-s", "6"]
    return [sys.executable, *program, "worker", *where, *lean, *options]


class Worker:
    """One worker process. It is started at once and may not be ready yet. `program` is what Python runs."""

    def __init__(
        self,
        bootstrap: str,
        registry: Path,
        group: str,
        log: Path,
        *options: str,
        program: Sequence[str] = ("-m", "nextclick"),
    ) -> None:
        port = free_port()
        self._start(worker_command(bootstrap, registry, group, *options, port=port, program=program), log, port)

    @classmethod
    def of(cls, command: Sequence[str], log: Path, port: int = 0) -> Worker:
        """That of a command which is not ours to make; `port` is where it serves /health, 0 where it does not."""
        worker = cls.__new__(cls)
        worker._start(command, log, port)
        return worker

    def _start(self, command: Sequence[str], log: Path, port: int) -> None:
        self.log, self.port = log, port
        with log.open("ab") as output:
            self.process = _starts[-1](
                command,
                cwd=_ROOT,
                env={**_environment(), "TMPDIR": str(log.parent)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def health(self) -> dict[str, Any]:
        """What /health says; `ready` is False while nobody listens there, or an answer breaks off."""
        try:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                with contextlib.closing(error):
                    return dict(json.load(error))
        except (OSError, http.client.HTTPException):
            return {"ready": False}

    def await_ready(self, partitions: int | None = None, deadline_s: float = 45.0) -> None:
        """Return when the worker answers clicks, of so many partitions if a number is given."""

        def ready() -> bool:
            self._assert_running()
            health = self.health()
            return bool(health["ready"]) and (partitions is None or len(health["partitions"]) == partitions)

        self._await(f"a worker to be ready with {partitions or 'its'} partitions", ready, deadline_s)

    def await_model(self, version: str, deadline_s: float = 30.0) -> None:
        """Return when this version is in service."""
        self._await(f"version {version} in service", lambda: self.health().get("model") == version, deadline_s)

    def await_log(self, words: str, deadline_s: float = 30.0) -> str:
        """Return the first line of the log that these words (a regular expression) are found in."""

        def line() -> str | None:
            return next((one for one in self.log.read_text().splitlines() if re.search(words, one)), None)

        return self._await(f"a log line with {words!r}", line, deadline_s) or ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of a metric that carry these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        samples = [line for line in lines if re.match(rf"{name}(\{{| )", line) and all(part in line for part in wanted)]
        assert samples, f"no metric {name} {labels} in /metrics"
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: alive, and silent."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self, grace_s: float = 30.0) -> int:
        """SIGTERM, SIGKILL after `grace_s`, and the exit code."""
        return end_process(self.process, grace_s)

    def _assert_running(self) -> None:
        if self.process.poll() is not None:
            raise DeadlineExceeded(f"the worker ended with {self.process.returncode}:\n{tail(self.log)}")

    def _await(self, what: str, probe: Any, deadline_s: float) -> Any:
        try:
            return wait_for(what, probe, deadline_s, every_s=0.1)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"{error}\nhealth: {self.health()}\n{tail(self.log)}") from error


def _environment() -> dict[str, str]:
    """This environment without settings of nextclick that could be in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NEXTCLICK_")}
