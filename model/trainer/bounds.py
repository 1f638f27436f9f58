"""What a trainer keeps within bounds: the stored clicks, the checkpoints, and the room that is left on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from model.trainer.config import TrainerConfig
from model.trainer.metrics import TrainerMetrics
from model.trainer.store import ClickStore

__all__ = ["Bounds"]

_LEAST_FREE = 512 << 20  # bytes, where checkpoints are written


class Bounds:
    """`problem` and `solved` hear of what is wrong, as those of the trainer."""

    def __init__(
        self,
        config: TrainerConfig,
        metrics: TrainerMetrics,
        *,
        problem: Callable[[str, str, str], None],
        solved: Callable[[str], None],
    ) -> None:
        self._config, self._metrics, self._problem, self._solved = config, metrics, problem, solved

    def tidy(self, store: ClickStore, *, keep: str) -> None:
        """Before a cycle: remove clicks that left the window and checkpoints that nobody starts from (keep: those that
        somebody may), join small parts."""
        config = self._config
        old, many = store.trim(window_ms=config.window_ms, most_bytes=config.window_mb << 20)
        self._metrics.removed.labels("age").inc(old)
        self._metrics.removed.labels("bytes").inc(many)
        if many:
            what = f"{many:,} clicks inside the window were removed, as the store had more than {config.window_mb} MB"
            self._problem("store_full", what, "raise --window-mb, or shorten --window")
        else:
            self._solved("store_full")
        store.join_small()
        for folder in Path(config.work).iterdir():
            if (
                folder.is_dir()
                and folder.name.startswith(f"{config.variant}-")
                and folder.name != keep.partition("/")[0]
            ):
                shutil.rmtree(folder, ignore_errors=True)

    def look_for_room(self) -> None:
        """Say where the disk is nearly full."""
        free = shutil.disk_usage(self._config.work).free
        self._metrics.free_bytes.set(free)
        if free < _LEAST_FREE:
            what = f"{free >> 20:,} MB are free in {self._config.work}, where checkpoints are written"
            self._problem("disk", what, "make room, or give another folder by --work")
        else:
            self._solved("disk")
