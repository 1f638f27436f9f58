"""A cycle that MLflow keeps, where it is asked for: the same run over kills, ended whatever becomes of the cycle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from model.errors import Interrupted
from model.reports.progress import OnProgress
from model.reports.tracked_version import flat, key_of, of_gate, say_lost, track_version
from model.reports.tracking import Tracked, Tracker
from model.trainer.config import TrainerConfig

if TYPE_CHECKING:
    from model.cycle.request import CycleRequest, CycleResult

__all__ = ["CycleRun"]

_CONFIG = ("gate", "refit", "fresh", "min_support", "window_s", "gap_minutes", "warm")


class CycleRun:
    """`on_progress` is what the cycle reports to; without MLflow the one it was made with."""

    def __init__(self, config: TrainerConfig, request: CycleRequest, on_progress: OnProgress) -> None:
        self._request, self.on_progress = request, on_progress
        self._told = on_progress
        self._tracker: Tracker | None = None
        if config.mlflow:
            key = key_of(config.registry, request.cycle, request.window.get("until_ts"))
            self._tracker = self.on_progress = Tracker(config.mlflow, request.cycle, on_progress, key=key)
            plain = msgspec.to_builtins({name: getattr(config, name) for name in _CONFIG})
            self._tracker.about(flat({**request.preset.to_dict(), **plain}), self._tags())

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Let a cycle that fails in the block end its run."""
        try:
            yield
        except Exception as error:
            if self._tracker is not None:
                self._tracker.about({}, {"nextclick.error": f"{type(error).__name__}: {error}"})
                self._say(self._tracker.finish("KILLED" if isinstance(error, Interrupted) else "FAILED"))
            raise

    def ended(self, result: CycleResult) -> Tracked:
        """What came of the cycle is kept, as far as MLflow answers in time."""
        tracker = self._tracker
        if tracker is None:
            return Tracked()
        tracker.about({}, {"nextclick.outcome": "published" if result.version else "refused"})
        if result.version is not None:
            return self._say(track_version(tracker, self._request.registry, result.version))
        figures, tags = of_gate(result.gate.to_json())
        tracker.about({}, tags)
        tracker.points(figures)
        return self._say(tracker.finish())

    def _tags(self) -> dict[str, str]:
        request = self._request
        return {
            "nextclick.cycle": request.cycle,
            "nextclick.mode": request.mode,
            "nextclick.variant": request.variant,
            "nextclick.registry": request.registry.url,
            "nextclick.parent": request.parent_version,
        }

    def _say(self, tracked: Tracked) -> Tracked:
        if (lost := say_lost(tracked)) is not None:
            self._told(lost)
        return tracked
