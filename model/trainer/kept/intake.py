"""From the topic into the store: what is read waits in memory for a moment, and becomes a part with its offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from export.errors import NextclickError
from model.trainer.config import TrainerConfig
from model.trainer.kept.store import SCHEMA, ClickStore
from model.trainer.metrics import TrainerMetrics
from model.trainer.ports import Feed, Forgotten

__all__ = ["Intake"]

_READ_S = 0.5
_ERASE_S = 5.0  # until a session is erased from the store; those that come together go together


class Intake:
    """Used by whoever leads, from `start` on. What waits in memory when it ends is read again by the next."""

    def __init__(
        self,
        config: TrainerConfig,
        feed: Feed,
        store: ClickStore,
        metrics: TrainerMetrics,
        say: Callable[[str], None],
        on_erased: Callable[[Forgotten, int], None] = lambda *_: None,
    ) -> None:
        """`on_erased` hears of a session whose clicks are stored no more, and of how many there were."""
        self._on_erased = on_erased
        self._erased: dict[str, Forgotten] = {}  # that are in the store still
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
        self._metrics.removed.labels("erased").inc(found.left_out + self._forget(found.erased))
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
        wait_s = min(self._config.flush_s, _ERASE_S) if self._erased else self._config.flush_s
        if waits >= self._config.flush_clicks or (self._moved and time.monotonic() - self._since >= wait_s):
            self.flush()
        return len(columns[2])

    def flush(self) -> None:
        """Store what waits, with the offsets behind it. LeadLost where another trainer leads.

        Before that sessions are erased: where this ends in between, their erase is read again.
        """
        if self._moved:
            gone = self._store.erase(self._erased) if self._erased else {}
            self._metrics.removed.labels("erased").inc(sum(gone.values()))
            waits = len(self._rows["timestamp"])
            self._store.append(
                self._rows,
                topic=self._feed.topic,
                identity=self._identity,
                next_offsets={str(number): offset for number, offset in sorted(self._next.items())},
            )
            self._metrics.clicks.inc(waits)
            self._stored = dict(self._next)
            for session, one in self._erased.items():
                self._on_erased(one, gone[session])
        self._clear()

    def reached(self, ends: dict[int, int]) -> bool:
        """Whether all below these offsets was read; what waits of it is stored by `flush`."""
        return all(self._next.get(number, 0) >= end for number, end in ends.items() if end > 0)

    def _forget(self, sessions: Sequence[Forgotten]) -> int:
        """Leave out what waits of these sessions; how many clicks. What is stored goes with the next flush."""
        if not sessions:
            return 0
        self._erased |= {one.session_id: one for one in sessions}
        names = {one.session_id for one in sessions}
        kept = [place for place, name in enumerate(self._rows["session_id"]) if name not in names]
        gone = len(self._rows["session_id"]) - len(kept)
        self._rows = {name: [column[place] for place in kept] for name, column in self._rows.items()}
        return gone

    def _clear(self) -> None:
        self._erased = {}
        self._rows = {name: [] for name in SCHEMA.names}
        self._next = dict(self._stored)
        self._moved = False
        self._since = time.monotonic()


def _other_topic(topic: str) -> NextclickError:
    return NextclickError(
        f"{topic} was made again since the trainer read it: its offsets are of other clicks. Start the trainer with "
        "--reset-offsets to read what is there now; the clicks that are stored stay"
    )
