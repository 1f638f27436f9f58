"""`nextclick train` that MLflow keeps, where it is asked for: parameters, curves, figures and the bundle of one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from export.registry.registry import Registry
from model.errors import Interrupted
from model.reports.progress import OnProgress
from model.reports.summary import TrainSummary
from model.reports.tracked_version import flat, say_lost, track_version
from model.reports.tracking import Tracked, Tracker
from model.training_run import TrainRequest

__all__ = ["TrackedTraining", "tracked_training"]


class TrackedTraining:
    """`on_progress` is what the training reports to; without MLflow the one it was made with."""

    def __init__(self, uri: str, request: TrainRequest, on_progress: OnProgress) -> None:
        self._request, self._told, self.on_progress = request, on_progress, on_progress
        self._tracker: Tracker | None = None
        if uri:
            self._tracker = self.on_progress = Tracker(uri, f"{request.preset.name} {request.data.name}", on_progress)
            options = {"min_support": request.min_support, "refit": msgspec.to_builtins(request.refit)}
            self._tracker.about(
                flat({**request.preset.to_dict(), **options}),
                {"nextclick.data": str(request.data), "nextclick.registry": str(request.registry)},
            )

    def ended(self, summary: TrainSummary | None) -> None:
        """It was published; None: by another process, whose run it is."""
        if self._tracker is not None and summary is not None:
            costs = {"train/seconds": summary.seconds, "train/sessions_per_s": summary.sessions_per_s}
            self._tracker.points({**costs, "train/epochs": summary.epochs, "peak_memory_mb": summary.peak_memory_mb})
            self._say(track_version(self._tracker, Registry(str(self._request.registry)), summary.version))

    def failed(self, error: BaseException) -> None:
        """It ends without a version."""
        if self._tracker is not None and self._tracker.has_begun:
            killed = isinstance(error, Interrupted | KeyboardInterrupt)
            self._tracker.about({}, {"nextclick.error": f"{type(error).__name__}: {error}"})
            self._say(self._tracker.finish("KILLED" if killed else "FAILED"))

    def _say(self, tracked: Tracked) -> None:
        if (lost := say_lost(tracked)) is not None:
            self._told(lost)


@contextmanager
def tracked_training(uri: str, request: TrainRequest, on_progress: OnProgress) -> Iterator[TrackedTraining]:
    """Give the run of one training, ended with the block. An empty uri: nothing is kept."""
    run = TrackedTraining(uri, request, on_progress)
    try:
        yield run
    except BaseException as error:
        run.failed(error)
        raise
