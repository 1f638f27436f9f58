"""Looks at workers, registry and training now and then, and tells the browsers what it saw."""

import threading
import time
from typing import Any

from demo.page.figures import StageMeans, Sums, ask_health, ask_metrics, versions_of
from demo.page.hub import Hub
from demo.system import System

__all__ = ["Lookout"]

_LOOK_S = 1.0
_SHOWN = ("ready", "serving", "model", "partitions", "lag")  # of a worker's /health


class Lookout:
    """From `start` to `stop`, in a thread. `newest`: what was seen last."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._stop = hub, threading.Event()
        self._thread: threading.Thread | None = None
        self._means = StageMeans()
        self.newest: dict[str, Any] = {"workers": [], "registry": {"live": None, "versions": [], "back": False}}

    def start(self, system: System) -> None:
        """Look at these from now on."""
        self._thread = threading.Thread(target=self._watch, args=(system,), name="demo-lookout", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more. May be called before `start`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, system: System) -> None:
        while not self._stop.wait(_LOOK_S):
            self.newest = self.look(system)
            self._hub.tell("parts", self.newest)

    def look(self, system: System) -> dict[str, Any]:
        """Workers with their /health, the mean of each stage, versions, the training, and experiments that run."""
        places = [] if system.workers is None else system.workers.places()
        workers: list[dict[str, Any]] = []
        sums: dict[int, Sums] = {}
        experiments: dict[str, Any] = {}
        for place in places:
            health = ask_health(place.port)
            workers.append(_worker(place.number, place.child.pid, place.killed, time.time() - place.since, health))
            experiments |= {one["experiment"]: one for one in (health or {}).get("experiments", ())}
            if health is not None:
                sums[place.child.pid] = ask_metrics(place.port)
        return {
            "workers": workers,
            "stages_ms": self._means.look(sums),
            "registry": versions_of(system.registry),
            "training": _training(system),
            "experiments": list(experiments.values()),
        }


def _worker(number: int, pid: int, killed: int, age_s: float, health: dict[str, Any] | None) -> dict[str, Any]:
    told = health or {}
    shown: dict[str, Any] = {name: told[name] for name in _SHOWN if name in told}
    reasons = list(told.get("reasons", ()))[:2]
    return {"number": number, "pid": pid, "killed": killed, "age_s": round(age_s), "reasons": reasons} | shown


def _training(system: System) -> dict[str, Any] | None:
    if system.trainer is None:
        return None
    health = system.trainer.health()
    if health is None:
        return {"state": "starting"}
    return {name: health.get(name) for name in ("state", "cycle", "why", "step", "progress", "clicks_since")}
