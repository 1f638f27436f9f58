"""What `make test-fast` runs is quick: no process is started, no model trained, no graph translated, no broker asked.

What takes more than a moment is marked `slow`; what waits for librdkafka's in-process cluster or for a server of Redis
is marked `waits`, by its fixtures. A test without such a mark that does one of these things fails.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

__all__ = ["is_quick", "mark_what_waits", "watched"]

_WAITS = {"cluster", "bootstrap", "redis_server", "redis_of_a_shop", "redis_cluster", "sentinel"}  # fixtures
_MARKS = ("slow", "waits", "broker")
_TAKE_LONG = (  # what it is, its module, and where it is there
    ("starts a process", "subprocess", "Popen", "__init__"),
    ("starts a process", "multiprocessing.process", "BaseProcess", "start"),
    ("trains a model", "model.learn.train", "Trainer", "run"),
    ("translates a graph", "torch.onnx", "", "export"),
    ("starts a cluster", "bench.rig.brokers.in_process", "InProcessBroker", "start"),
)


def mark_what_waits(items: Iterable[pytest.Item]) -> None:
    """Have the fixtures of a test say that it waits."""
    for item in items:
        if not _WAITS.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("waits")


def is_quick(item: pytest.Item) -> bool:
    """Whether nothing says otherwise of a test."""
    return not any(map(item.get_closest_marker, _MARKS))


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """What is done meanwhile that takes more than a moment, by whatever has been imported so far."""
    done: list[str] = []
    patch = pytest.MonkeyPatch()
    for what, module, owner, name in _TAKE_LONG:
        if (loaded := sys.modules.get(module)) is not None:
            found = getattr(loaded, owner) if owner else loaded
            patch.setattr(found, name, _told(getattr(found, name), what, done))
    yield done
    patch.undo()


def _told(function: Callable[..., Any], what: str, done: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        if not _excused():
            done.append(what)
        return function(*args, **options)

    return called


def _excused() -> bool:
    """Whether a module is being imported: some ask a program about the machine then. Or the toy's graph is made, which
    is kept: whoever comes first after a change makes it for all."""
    frame = sys._getframe()
    while (below := frame.f_back) is not None:
        if below.f_code.co_filename == "<frozen importlib._bootstrap>" or below.f_code.co_name == "toy_graph":
            return True
        frame = below
    return False
