"""How far one partition of a topic is read: what comes next, and which fetched records still count.

    expected    the offset the next accepted record must not be below. Set by a seek, in the fetching thread; records
                that were fetched before that seek carry a lower serial and are dropped, whatever generation they are of
    passed      offsets without a record, which the reader has left behind: transaction markers, aborted transactions,
                compaction. Without them a partition that ends in one would never be read to its end
    since       the epoch in which the partition was given up last. What was begun before it counts no more

Partitions of the clicks and of the changelog are read by the same rules.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["Partition", "Reading", "Record"]

Partition = tuple[str, int]  # topic and partition number


class Record(Protocol):
    """What the worker uses of a fetched record (aiokafka's ConsumerRecord has it)."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...  # milliseconds since the epoch; -1 where there is none
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...  # a value may be null


class _Expected(NamedTuple):
    offset: int
    serial: int


class _Passed(NamedTuple):
    """No record is to be had from `begin` up to `end`."""

    begin: int
    end: int


class Reading:
    """One partition as its reader sees it. `expect` is called in the consumer's thread, the rest on the event loop;
    `seeking` is the lock that keeps a seek of an earlier epoch from being noted behind its end."""

    def __init__(self, key: Partition, *, seeking: "threading.Lock | None" = None, since: int = 0) -> None:
        self.key = key
        self.topic, self.number = key
        self.since = since
        self._seeking = seeking or threading.Lock()
        self._expected: _Expected | None = None
        self._started: int | None = None  # where the last seek went to
        self._passed: _Passed | None = None
        self.held = False  # no seek counts: whether it may be read at all is not settled

    @property
    def is_expected(self) -> bool:
        """Whether records would be accepted."""
        return self._expected is not None

    def is_current(self, epoch: int) -> bool:
        """Whether the partition was not given up since `epoch`."""
        return epoch >= self.since

    def expect(self, offset: int, *, serial: int, epoch: int) -> None:
        """Read on from `offset`: a seek was made, the `serial`-th. A seek of an earlier epoch changes nothing, nor does
        one where the partition is held."""
        with self._seeking:
            if self.is_current(epoch) and not self.held:
                self._started, self._passed = offset, None
                self._expected = _Expected(offset, serial)

    def accept(self, records: Sequence[Record], *, serial: int) -> Sequence[Record]:
        """Those of `records` that come next, in order; `serial` counts the seeks made when they were fetched.

        Gaps are fine (compaction, transaction markers, retention), as every record since the seek passes through here.
        A step back without a seek means that the broker's log was cut: it is followed, from there on.
        """
        with self._seeking:  # a seek, or the lookout's stop, must not be written over
            expected = self._expected
            if expected is None or serial < expected.serial or not records:
                return ()
            self._expected = _Expected(records[-1].offset + 1, expected.serial)
        if serial > expected.serial or records[0].offset >= expected.offset:
            return records
        kept = [record for record in records if record.offset >= expected.offset]
        return kept or records

    def passed(self, position: int, *, serial: int) -> bool:
        """The reader stands at `position`, and what is below it went through `accept`; False after a later seek."""
        with self._seeking:
            expected = self._expected
            if expected is None or serial < expected.serial:
                return False
            self._passed = _Passed(expected.offset, position)
            return True

    def stop_reading(self) -> None:
        """Accept nothing until the next seek. The caller holds the lock where seeks may be under way."""
        self._expected = None

    def forget_position(self, epoch: int) -> None:
        """Given up in `epoch`: nothing is read until a seek of it. The caller holds the lock."""
        self.since = epoch
        self._expected = self._started = self._passed = None
