"""The workers of the demo, and another process in the place of one that was killed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo.children import Child, free_port

__all__ = ["Place", "Workers"]


@dataclass(slots=True)
class Place:
    """Where a worker works, whichever process does."""

    number: int
    port: int  # of its /health and /metrics
    child: Child
    since: float  # time.time() of the start of this process
    killed: int = 0  # processes before it


class Workers:
    """While the block lasts. Safe for threads. `args`: the command line of a worker whose web port is given."""

    def __init__(self, args: Callable[[int], list[str]], *, folder: Path) -> None:
        self._args, self._folder = args, folder
        self._lock = threading.Lock()
        self._places: list[Place] = []
        self._closed = False

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            for place in self._places:
                place.child.stop()

    def add(self) -> Place:
        """Start one more."""
        with self._lock:
            port = free_port()
            place = Place(len(self._places), port, self._start(port), time.time())
            self._places.append(place)
            return place

    def places(self) -> list[Place]:
        """All of them."""
        with self._lock:
            return list(self._places)

    def check_running(self) -> None:
        """DemoError if one has ended that nobody killed."""
        with self._lock:
            for place in self._places:
                place.child.check_running()

    def kill(self, number: int) -> tuple[int, int]:
        """SIGKILL, and another process in its place at once; (process killed, process started)."""
        with self._lock:
            if self._closed:
                raise IndexError("the demo ends")
            place = self._places[number]
            old = place.child.kill()
            place.child, place.since, place.killed = self._start(place.port), time.time(), place.killed + 1
            return old, place.child.pid

    def _start(self, port: int) -> Child:
        return Child("worker", self._args(port), scratch=self._folder)
