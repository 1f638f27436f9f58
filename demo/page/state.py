"""What the page shows of the demo: the stage it is at, a second of it after the other, and what happened."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from demo.hits import Hits
from demo.view import Snapshot

__all__ = ["STAGES", "State"]

STAGES = ("broker", "log", "training", "worker", "shopping", "closing")
_SECONDS = 240  # of the charts
_EVENTS = 40


class State:
    """Filled by the demo's threads, read by the page's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.time()
        self._stages: dict[str, float] = {}  # when each began, seconds since the start
        self._series: deque[dict[str, Any]] = deque(maxlen=_SECONDS)
        self._events: list[dict[str, Any]] = []
        self._told = 0  # events of the demo
        self._next, self._last = 0.0, (0.0, 0, 0)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return round(time.time() - self._began, 1)

    @property
    def stage(self) -> str:
        """The one it is at; empty before the first."""
        with self._lock:
            return next(reversed(self._stages), "")

    def begin(self, stage: str) -> dict[str, Any]:
        """A stage begins; what is told of it."""
        with self._lock:
            self._stages[stage] = self.seconds
            return self._stage()

    def note(self, text: str, kind: str = "demo") -> dict[str, Any]:
        """Something happened; what is told of it."""
        with self._lock:
            found = {"at": self.seconds, "text": text, "kind": kind}
            self._events = [*self._events[1 - _EVENTS :], found]
            return found

    def news(self, snapshot: Snapshot) -> list[str]:
        """The events of the demo since the last call."""
        new, self._told = list(snapshot.events[self._told :]), len(snapshot.events)
        return new

    def second(self, snapshot: Snapshot, now: float) -> dict[str, Any] | None:
        """The figures of the moment, once a second; None in between. `now` is monotonic."""
        if now < self._next or snapshot.figures is None:
            return None
        figures, (at, clicks, answered) = snapshot.figures, self._last
        self._next, self._last = now + 1.0, (now, figures.clicks, figures.answered)
        if not at:
            return None
        passed = max(now - at, 1e-6)
        found = {
            "at": self.seconds,
            "clicks": figures.clicks,
            "answered": figures.answered,
            "clicks_s": round((figures.clicks - clicks) / passed, 1),
            "answers_s": round((figures.answered - answered) / passed, 1),
            "waiting": figures.clicks - figures.answered,
            "oldest_s": round(figures.oldest_s, 2),
            "p50": _rounded(figures.recent_p50_ms),
            "p99": _rounded(figures.recent_p99_ms),
            "fallbacks": figures.fallbacks,
            "hits": _hits(snapshot.hits),
        }
        with self._lock:
            self._series.append(found)
        return found

    def told(self) -> dict[str, Any]:
        """All of it, for a browser that comes."""
        with self._lock:
            return {"series": list(self._series), "events": list(self._events), "now": self.seconds} | self._stage()

    def _stage(self) -> dict[str, Any]:
        return {"stages": dict(self._stages), "stage": next(reversed(self._stages), ""), "now": self.seconds}


def _hits(hits: Hits) -> Mapping[str, Any]:
    return {
        "model": _share(hits.model),
        "popularity": _share(hits.popularity),
        "by_model": {name: _share(rate) for name, rate in hits.by_model.items()},
        "by_variant": {name: _share(rate) for name, rate in hits.by_variant.items()},
        "uplift": _share(hits.uplift),
        "interval": None if hits.interval is None else [_share(end) for end in hits.interval],
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
