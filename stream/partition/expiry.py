"""Idle sessions are forgotten, in memory and, by tombstones, in the changelog.

The rule. A session is forgotten once all three hold:

    event time    the partition's event clock is past the session's newest click by more than time-out + grace. The
                  event clock is the greatest ts of the partition's clicks so far, and never ahead of the time at which
                  they were written, nor of now: one click with a wrong ts forgets nobody
    wall clock    no click of it was folded for as long, by this worker's clock; after a recovery, by the timestamp of
                  its row. A replay slower than life is protected by the event clock, one with jumps in it by this
    offsets       its newest click lies below the committed offset, so that no click of it can be read again

So a click that comes at most `grace` after newer clicks of its partition finds its session, if that has not timed out;
and a click that comes later than that could only have started a new one: forgetting changes no list. Clicks that are
late by more than the grace start a new session.

Tombstones are rows of the partition's next batch: they pass through the same publisher, behind every row of the batches
before it and ahead of every later one, and are as confirmed, or as lost, as the batch is. A partition without clicks
keeps what it has; without clicks it does not grow either.

Cost: one set.update a batch, and a bounded number of rows looked at. Sessions stand in buckets by the time of a click;
the oldest bucket is emptied a few at a time, and whoever stands in a newer one too is passed over. Buckets and event
clock are the partition's own (`stream.partition.idle`): they last as long as its rows do, also over batches that are
not confirmed.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from stream.partition.erased import SOURCE_OFFSET
from stream.partition.owned import OwnedPartition
from stream.partition.reading import Record
from stream.partition.session import SessionConfig, StateHead, decode_head, is_expired

__all__ = ["Expired", "Expiry", "tombstone_headers"]

_BUCKETS = 4  # to the length of the silence; a session is forgotten up to one bucket late
_A_TURN = 256  # rows looked at a batch, and two more for each session of the batch: it never falls behind


class Expired(NamedTuple):
    """A session that was forgotten, the source offset of its newest click, and its row."""

    key: bytes
    offset: int
    row: bytes = b""


class Expiry:
    """The rule of the idle sessions, for every partition; lives on the event loop. `clock` gives seconds since the
    epoch."""

    def __init__(self, config: SessionConfig, clock: Callable[[], float] = time.time) -> None:
        self._config, self._clock = config, clock
        self._silence_s = (config.timeout_ms + config.grace_ms) / 1000
        self._width_s = self._silence_s / _BUCKETS
        self.expired = 0  # sessions forgotten so far, those of batches that were undone among them

    def turn(
        self, partition: OwnedPartition, touched: Sequence[bytes], newest_ts: int, written_ms: int | None
    ) -> list[Expired]:
        """Note the sessions of a batch, then forget some that are due.

        newest_ts: the greatest ts of the sessions touched. written_ms: the timestamp of the batch's newest record; None
        where it has none that can be trusted.
        """
        now = self._clock()
        if touched:
            self.touch(partition, touched, now)
            partition.idle.advance(min(newest_ts, int(now * 1000), newest_ts if written_ms is None else written_ms))
        below = partition.committed_offset
        if below is None:
            return []
        return self._sweep(partition, now, below, _A_TURN + 2 * len(touched))

    def touch(self, partition: OwnedPartition, keys: Iterable[bytes], at_s: float) -> None:
        """These sessions had a click, or got a row, at `at_s`."""
        oldest = self._clock() - self._silence_s - self._width_s  # nothing is gained by telling older ones apart
        partition.idle.touch(int(max(at_s, oldest) / self._width_s), keys)

    def restored(self, partition: OwnedPartition, records: Sequence[Record]) -> None:
        """Changelog records that are being recovered; the newest one's timestamp counts for all of them."""
        if records:
            live = (record.key for record in records if record.key and record.value is not None)
            self.touch(partition, live, records[-1].timestamp / 1000)

    def undo(self, partition: OwnedPartition, expired: Sequence[Expired]) -> None:
        """Bring back what a batch forgot that was not confirmed; forgotten again after another silence."""
        for key, _, row in expired:
            partition.rows[key] = row
        self.touch(partition, [one.key for one in expired], self._clock())

    def _sweep(self, partition: OwnedPartition, now: float, below: int, left: int) -> list[Expired]:
        """Look at up to `left` of the sessions that have been silent for long enough."""
        idle, rows = partition.idle, partition.rows
        found: list[Expired] = []
        kept: list[bytes] = []
        while left and (oldest := idle.oldest) is not None:
            if now < (oldest + 1) * self._width_s + self._silence_s:
                break
            keys, looked = idle.take(oldest, left)
            left -= looked
            for key in keys:
                row = rows.get(key)
                if row is None:
                    continue
                head = decode_head(row)
                if self._is_over(idle.event_clock, head, below):
                    del rows[key]
                    found.append(Expired(key, head.offset, row))
                else:
                    kept.append(key)
        if kept:
            self.touch(partition, kept, now)  # looked at again after another silence
        self.expired += len(found)
        return found

    def _is_over(self, event_clock: int, head: StateHead, below: int) -> bool:
        return head.offset < below and is_expired(head, event_clock - self._config.grace_ms, self._config)


def tombstone_headers(expired: Expired) -> list[tuple[str, bytes]]:
    """So that a recovery can tell a tombstone of a worker that no longer owned the partition from the owner's."""
    return [(SOURCE_OFFSET, str(expired.offset).encode())]
