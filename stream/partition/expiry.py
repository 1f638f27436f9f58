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
the oldest bucket is emptied a few at a time, and whoever stands in a newer one too is passed over.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from stream.partition.ledger import Partition, Record
from stream.partition.session import SessionConfig, StateHead, decode_head, is_expired

__all__ = [
    "SOURCE_OFFSET",
    "CommittedOffsets",
    "Expired",
    "ExpiringStore",
    "Expiry",
    "WithHeaders",
    "tombstone_headers",
    "tombstone_offset",
]

SOURCE_OFFSET = "source_offset"  # header of a tombstone: the newest click the deleted row had applied
_BUCKETS = 4  # to the length of the silence; a session is forgotten up to one bucket late
_A_TURN = 256  # rows looked at a batch, and two more for each session of the batch: it never falls behind


class Expired(NamedTuple):
    """A session that was forgotten, the source offset of its newest click, and its row."""

    key: bytes
    offset: int
    row: bytes = b""


class WithHeaders(Protocol):
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class ExpiringStore(Protocol):
    def get(self, key: bytes, partition: int) -> bytes | None: ...
    def put(self, key: bytes, row: bytes, partition: int) -> None: ...
    def delete(self, key: bytes) -> None: ...


class CommittedOffsets(Protocol):
    """`stream.partition.ledger.Ledger` is one."""

    def committed_offset(self, partition: Partition) -> int | None: ...


class Expiry:
    """Which sessions are idle; lives on the event loop. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        store: ExpiringStore,
        offsets: CommittedOffsets,
        config: SessionConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._offsets, self._config, self._clock = store, offsets, config, clock
        self._silence_s = (config.timeout_ms + config.grace_ms) / 1000
        self._width_s = self._silence_s / _BUCKETS
        self._buckets: dict[int, dict[int, set[bytes]]] = {}  # partition -> number of the bucket -> sessions
        self._event_clock: dict[int, int] = {}  # partition -> ms since the epoch
        self.expired = 0  # sessions forgotten so far, those of batches that were undone among them

    def turn(self, partition: Partition, touched: Sequence[bytes], newest_ts: int, written_ms: int) -> list[Expired]:
        """Note the sessions of a batch, then forget some that are due.

        newest_ts: the greatest ts of the sessions touched. written_ms: the timestamp of the batch's newest record; 0 or
        less where it has none.
        """
        number, now = partition[1], self._clock()
        if touched:
            self.touch(number, touched, now)
            self._advance(number, min(newest_ts, int(now * 1000), written_ms if written_ms > 0 else newest_ts))
        below = self._offsets.committed_offset(partition)
        if below is None:
            return []
        return self._sweep(number, now, below, _A_TURN + 2 * len(touched))

    def touch(self, partition: int, keys: Iterable[bytes], at_s: float) -> None:
        """These sessions had a click, or got a row, at `at_s`."""
        oldest = self._clock() - self._silence_s - self._width_s  # nothing is gained by telling older ones apart
        number = int(max(at_s, oldest) / self._width_s)
        self._buckets.setdefault(partition, {}).setdefault(number, set()).update(keys)

    def restored(self, partition: int, records: Sequence[Record]) -> None:
        """Changelog records that are being recovered; the newest one's timestamp counts for all of them."""
        if records:
            live = (record.key for record in records if record.key and record.value is not None)
            self.touch(partition, live, records[-1].timestamp / 1000)

    def undo(self, partition: int, expired: Sequence[Expired]) -> None:
        """Bring back what a batch forgot that was not confirmed; forgotten again after another silence."""
        for key, _, row in expired:
            self._store.put(key, row, partition)
        self.touch(partition, [one.key for one in expired], self._clock())

    def retain(self, partitions: Collection[int]) -> None:
        """Drop what is known of partitions that are no longer ours."""
        for known in (self._buckets, self._event_clock):
            for partition in [number for number in known if number not in partitions]:
                del known[partition]

    def _advance(self, partition: int, ts: int) -> None:
        if ts > self._event_clock.get(partition, 0):
            self._event_clock[partition] = ts

    def _sweep(self, partition: int, now: float, below: int, rows: int) -> list[Expired]:
        """Look at up to `rows` of the sessions that have been silent for long enough."""
        buckets = self._buckets.get(partition, {})
        found: list[Expired] = []
        kept: list[bytes] = []
        while buckets and rows:
            oldest = min(buckets)
            if now < (oldest + 1) * self._width_s + self._silence_s:
                break
            bucket = buckets[oldest]
            newer = [other for number, other in buckets.items() if number != oldest]
            while bucket and rows:
                rows -= 1
                key = bucket.pop()
                if any(key in other for other in newer):
                    continue
                row = self._store.get(key, partition)
                if row is None:
                    continue
                head = decode_head(row)
                if self._is_over(partition, head, below):
                    self._store.delete(key)
                    found.append(Expired(key, head.offset, row))
                else:
                    kept.append(key)
            if not bucket:
                del buckets[oldest]
        if kept:
            self.touch(partition, kept, now)  # looked at again after another silence
        self.expired += len(found)
        return found

    def _is_over(self, partition: int, head: StateHead, below: int) -> bool:
        event_clock = self._event_clock.get(partition, 0) - self._config.grace_ms
        return head.offset < below and is_expired(head, event_clock, self._config)


def tombstone_headers(expired: Expired) -> list[tuple[str, bytes]]:
    """So that a recovery can tell a tombstone of a worker that no longer owned the partition from the owner's."""
    return [(SOURCE_OFFSET, str(expired.offset).encode())]


def tombstone_offset(record: WithHeaders) -> int | None:
    """The source offset that a tombstone names; None where it names none."""
    for name, value in record.headers:
        if name == SOURCE_OFFSET and value is not None and value.isdigit():
            return int(value)
    return None
