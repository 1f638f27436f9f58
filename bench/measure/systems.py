"""The systems that are compared: a name, and the command that runs one process of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.rig.workers import Worker
from stream.topic_names import Topics

_END_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What every system is given."""

    bootstrap: str
    registry: Path
    bundle: Path  # the one that is live in the registry
    topics: Topics = field(default_factory=Topics)
    folder: Path | None = None  # for files that say their names; without, those of `topics` are the worker's own


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way of answering clicks."""

    name: str
    command: Callable[[Setting, str], list[str]]  # the setting, and the consumer group
    has_changelog: bool = False  # its group needs a topic for the state
    processes: int = 1


def nextclick(
    name: str = "nextclick",
    *,
    workers: int = 1,
    options: Sequence[str] = (),
    items: bool = False,
    program: Sequence[str] = ("-m", "nextclick"),
) -> System:
    """The worker, as an operator starts it. items: it reads what is known of the items, in place of a topic that is
    not there. program: what Python runs."""

    def command(setting: Setting, group: str) -> list[str]:
        base = [sys.executable, *program, "worker", "--bootstrap-servers", setting.bootstrap]
        base += ["--registry", str(setting.registry), "--group", group, "--web-port", "0", "--log-level", "warning"]
        return [*base, *_threads(workers), *_names(setting, items), *options]

    return System(name=name, command=command, has_changelog=True, processes=workers)


def no_ranking() -> System:
    """The worker with a ranker that costs nothing."""

    def command(setting: Setting, group: str) -> list[str]:
        names = ["--clicks", setting.topics.clicks, "--lists", setting.topics.recommendations]
        return [sys.executable, "-m", "bench.peers.no_ranking", setting.bootstrap, group, *names]

    return System(name="no_ranking", command=command, has_changelog=True)


def peer(
    name: str,
    program: str = "",
    *,
    workers: int = 1,
    python: Path = Path(sys.executable),
    options: Sequence[str] = (),
) -> System:
    """A program of bench.peers, `name` unless another is given, run by the interpreter that has its library."""

    def command(setting: Setting, group: str) -> list[str]:
        base = [str(python), "-m", f"bench.peers.{program or name}", setting.bootstrap, str(setting.bundle), group]
        names = [] if setting.topics == Topics() else ["--clicks", setting.topics.clicks]
        names += ["--lists", setting.topics.recommendations] if names else []
        return [*base, *_threads(workers), *names, *options]

    return System(name=name, command=command, processes=workers)


def _names(setting: Setting, items: bool) -> list[str]:
    """The option by which a worker gets the names of the topics, in a file."""
    if setting.folder is None:
        return []
    topics = setting.topics
    words = {word: getattr(topics, word) for word in ("clicks", "recommendations", "rejected", "models")}
    words["items"] = topics.items if items else "no-items"
    file = setting.folder / f"topics-{topics.clicks}-{words['items']}"
    file.write_text("".join(f"{word}={name}\n" for word, name in words.items()))
    return ["--topics", str(file)]


def _threads(workers: int) -> list[str]:
    """Several processes share the cores, as those of `worker --processes` do."""
    return ["--threads", str(max(1, (os.cpu_count() or 1) // workers))] if workers > 1 else []


@contextmanager
def processes(command: list[str], count: int, log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `count` of a command, ended with the block; their output goes to `log`."""
    running = [Worker.of(command, log) for _ in range(count)]
    try:
        yield [one.process for one in running]
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.stop(_END_S)


def last_words(log: Path, lines: int = 15) -> str:
    """The end of what a system said."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
