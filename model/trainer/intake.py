"""From the topic into the store: what is read waits in memory for a moment, and becomes a part with its offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from export.errors import NextclickError
from model.trainer.config import TrainerConfig
from model.trainer.metrics import TrainerMetrics
from model.trainer.ports import Feed
from model.trainer.store import SCHEMA, ClickStore

__all__ = ["Intake"]

_READ_S = 0.5


class Intake:
    """Used by whoever leads, from `start` on. What waits in memory when it ends is read again by the next."""

    def __init__(
        self, config: TrainerConfig, feed: Feed, store: ClickStore, metrics: TrainerMetrics, say: Callable[[str], None]
    ) -> None:
        self._config, self._feed, self._store, self._metrics, self._say = config, feed, store, metrics, say
        self._identity: str | None = None
        self._rows: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        self._stored: dict[int, int] = {}  # offsets that are read next, as the store has them
        self._next: dict[int, int] = {}  # the same, as was read
        self._moved = False
        self._since = time.monotonic()

    def start(self, *, reset: bool = False) -> None:
        """Read on where the store ends. reset: from the oldest click of a topic that was made again.

        NextclickError where the topic is another than the one whose offsets are stored.
        """
        self._clear()
        self._identity = self._feed.identity()
        stored = self._store.newest
        if stored.topic and not reset and stored.identity and self._identity not in (None, stored.identity):
            raise _other_topic(self._feed.topic)
        self._stored = {} if reset else self._store.next_offsets
        self._next = dict(self._stored)
        self._feed.start(self._stored)
        self._metrics.lost.set(self._feed.lost)

    def read(self) -> int:
        """Take what has come, and store it if it is time; the clicks that came. LeadLost, and what the feed raises."""
        found = self._feed.read(_READ_S)
        until = self._store.newest.imported_until
        columns = [found.session_id, found.item_id, found.timestamp, found.type]
        if until:
            rows = [row for row in zip(*columns, strict=True) if row[2] > until]
            skipped = len(found.timestamp) - len(rows)
            self._metrics.skipped.inc(skipped)
            columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
        for name, column in zip(SCHEMA.names, columns, strict=True):
            self._rows[name] += column
        for reason, number in found.rejected.items():
            self._metrics.rejected.labels(reason).inc(number)
        if found.next_offsets != self._next:
            self._next = dict(found.next_offsets)
            self._moved = True
        self._metrics.lost.set(self._feed.lost)
        waits = len(self._rows["timestamp"])
        if waits >= self._config.flush_clicks or (
            self._moved and time.monotonic() - self._since >= self._config.flush_s
        ):
            self.flush()
        return len(columns[2])

    def flush(self) -> None:
        """Store what waits, with the offsets behind it. LeadLost where another trainer leads."""
        if self._moved:
            waits = len(self._rows["timestamp"])
            self._store.append(
                self._rows,
                topic=self._feed.topic,
                identity=self._identity,
                next_offsets={str(number): offset for number, offset in sorted(self._next.items())},
            )
            self._metrics.clicks.inc(waits)
            self._stored = dict(self._next)
        self._clear()

    def reached(self, ends: dict[int, int]) -> bool:
        """Whether all below these offsets was read; what waits of it is stored by `flush`."""
        return all(self._next.get(number, 0) >= end for number, end in ends.items() if end > 0)

    def _clear(self) -> None:
        self._rows = {name: [] for name in SCHEMA.names}
        self._next = dict(self._stored)
        self._moved = False
        self._since = time.monotonic()


def _other_topic(topic: str) -> NextclickError:
    return NextclickError(
        f"{topic} was made again since the trainer read it: its offsets are of other clicks. Start the trainer with "
        "--reset-offsets to read what is there now; the clicks that are stored stay"
    )
