"""What a trainer keeps within bounds: the stored clicks, the checkpoints, and the room that is left on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from model.trainer.config import TrainerConfig
from model.trainer.kept.store import ClickStore
from model.trainer.metrics import TrainerMetrics

__all__ = ["Bounds"]

_NEW_PARTS = 32  # since the store was bounded last, before it is again
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
        self._parts = 0  # of the store, when it was bounded last
        self._cut = 0  # clicks inside the window that were removed since the last cycle

    def is_due(self, store: ClickStore) -> bool:
        """Whether the store has grown enough to be bounded again."""
        return store.bytes > self._config.window_mb << 20 or len(store.parts) >= self._parts + _NEW_PARTS

    def bound(self, store: ClickStore) -> None:
        """While no cycle has the names of parts: remove clicks that left the window or are too many, join small
        parts."""
        config = self._config
        old, many = store.trim(window_ms=config.window_ms, most_bytes=config.window_mb << 20)
        self._metrics.removed.labels("age").inc(old)
        self._metrics.removed.labels("bytes").inc(many)
        self._cut += many
        if many:
            what = (
                f"{self._cut:,} clicks inside the window were removed, as the store had more than {config.window_mb} MB"
            )
            self._problem("store_full", what, "raise --window-mb, or shorten --window")
        store.join_small()
        self._parts = len(store.parts)

    def tidy(self, store: ClickStore, *, keep: str) -> None:
        """Before a cycle: the same, and remove checkpoints that nobody starts from (keep: those that somebody may)."""
        config = self._config
        self.bound(store)
        if not self._cut:
            self._solved("store_full")
        self._cut = 0
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
