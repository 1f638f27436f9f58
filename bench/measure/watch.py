"""What a trainer was doing at each moment, by its /health."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_EVERY_S = 0.25


class Moment(NamedTuple):
    """One look."""

    at: float  # time.monotonic() (s)
    step: str  # of the cycle that runs: train, gate, ...; "begin" before its first word; empty: none runs


class Watch:
    """Looks at /health for the length of a `with` block; `moments` are there after it."""

    def __init__(self, health: Callable[[], Mapping[str, Any]]) -> None:
        self.moments: list[Moment] = []
        self._health = health
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.moments.append(Moment(time.monotonic(), step_of(self._health())))
            if self._ended.wait(_EVERY_S):
                return


def step_of(health: Mapping[str, Any]) -> str:
    """The step of the cycle that a trainer's /health says it is in; empty where none runs."""
    if health.get("state") != "training":
        return ""
    return str(health.get("step", "")).partition(":")[0] or "begin"


def steps_at(due: NDArray[np.float64], moments: Sequence[Moment]) -> list[str]:
    """For each time (N,), time.monotonic() in s, the step of the last look before it; empty before the first."""
    times = [moment.at for moment in moments]
    places = [bisect_right(times, at) - 1 for at in due.tolist()]
    return [moments[place].step if place >= 0 else "" for place in places]
