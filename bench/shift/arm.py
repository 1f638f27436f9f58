"""One of the two systems that serve the same shop: a registry, topics and a worker of its own, and a trainer or none.

Both read the same topic of clicks, so that they are compared on the same ones.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import TracebackType

from bench.rig.brokers.process import free_port
from bench.rig.workers import Worker
from export.registry.registry import Registry
from stream.kafka.topics import create_topics
from stream.topic_names import Topics

_READY_S = 90.0
_FIRST_S = 400.0  # for the first model, from the log


class Arm:
    """Its processes end with the block. `topics` are its own but for the clicks."""

    def __init__(self, name: str, bootstrap: str, folder: Path, *, partitions: int, like: Path | None = None) -> None:
        """`like`: a registry whose versions it begins with."""
        self.name, self._bootstrap, self._folder = name, bootstrap, folder
        self.registry = folder / f"registry-{name}"
        if like is not None:
            shutil.copytree(like, self.registry)
        own = {word: f"{name}.{word}" for word in ("recommendations", "rejected", "models", "changelog")}
        self.topics = Topics.named({"clicks": "clicks", **own})
        self._names = folder / f"{name}.topics"
        self._names.write_text("".join(f"{word}={topic}\n" for word, topic in {"clicks": "clicks", **own}.items()))
        create_topics(bootstrap, partitions=partitions, group=name, topics=self.topics)
        self._children: list[Worker] = []

    def __enter__(self) -> Arm:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in reversed(self._children):
            child.stop()

    def serve(self, k: int) -> None:
        """Start the worker; returns when it answers."""
        worker = self._start("worker", "--group", self.name, "--k", str(k), "--threads", "1")
        worker.await_ready(deadline_s=_READY_S)

    def learn(self, *options: str) -> None:
        """Run the trainer once; RuntimeError where it publishes nothing."""
        child = self._start("trainer", "--once", *options)
        child.process.wait(_FIRST_S)
        self._children.remove(child)
        registry = Registry(str(self.registry))
        if child.process.returncode or not registry.exists() or registry.live() is None:
            raise RuntimeError(f"there is no first version:\n{_last(child.log)}")

    def train(self, *options: str) -> None:
        """Start the trainer, for all versions from now on."""
        self._start("trainer", *options)

    def check(self) -> None:
        """RuntimeError, with its last words, if a child has ended."""
        for child in self._children:
            if child.process.poll() is not None:
                raise RuntimeError(f"{child.log.stem} ended with {child.process.returncode}:\n{_last(child.log)}")

    def _start(self, command: str, *options: str) -> Worker:
        port = free_port()
        where = ["--bootstrap-servers", self._bootstrap, "--topics", str(self._names), "--registry", str(self.registry)]
        words = [sys.executable, "-m", "nextclick", command, *where, "--web-port", str(port), *options]
        child = Worker.of(words, self._folder / f"{self.name}-{command}.log", port)
        self._children.append(child)
        return child


def _last(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])
