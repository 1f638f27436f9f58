"""A real Redis server for the tests: the `redis-server` of this machine on a free port, memory only."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from pathlib import Path

import redis

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.process import end_process, free_port, start_process, wait_for

__all__ = ["RedisSentinel", "RedisServer"]


class RedisServer:
    """A server that can be stopped and started again at the same address, empty. BrokerMissing without the program.

    `options` are more words of its command line.
    """

    def __init__(self, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise BrokerMissing("redis-server is not on the PATH (Debian: apt-get install redis-server)")
        self._program, self._options = program, options
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    @property
    def port(self) -> int:
        return self._port

    def _command(self) -> list[str]:
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [self._program, *words, *self._options]

    def start(self) -> None:
        """Start it and return when it answers."""
        self._process = start_process(self._command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("redis-server to answer", self._answers, 15)

    def stop(self) -> None:
        """Stop it; what it held is lost."""
        if self._process is not None:
            self.resume()
            end_process(self._process)
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are taken, nothing is answered, and what it holds stays."""
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """Return a client with short deadlines, answering in bytes."""
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)

    def _answers(self) -> bool:
        ended = self._process.poll() if self._process is not None else None
        assert ended is None, f"redis-server ended by itself, status {ended}: has another taken port {self._port}?"
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False


class RedisSentinel(RedisServer):
    """A sentinel that watches one server by the name `shop`; `folder` is for its configuration, which it writes."""

    def __init__(self, folder: Path, watched: RedisServer) -> None:
        super().__init__()
        self._file = folder / "sentinel.conf"
        self._file.write_text(f"sentinel monitor shop 127.0.0.1 {watched.port} 1\n")

    def _command(self) -> list[str]:
        return [self._program, str(self._file), "--sentinel", "--port", str(self._port), "--bind", "127.0.0.1"]
