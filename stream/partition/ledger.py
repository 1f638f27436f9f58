"""Where each partition stands: what is read next, what is confirmed, and who may still say so.

Facts of a partition, each closing one way in which clicks got lost or answered twice in trials:

    expected    the offset the next accepted record must not be below. Set by a seek, in the fetching thread; records
                that were fetched before that seek carry a lower serial and are dropped, whatever generation they are of
    confirmed   everything below it was answered, and the broker has the answers; what may be committed
    answered    the same over all epochs: as last confirmed here, or as the changelog said; where reading starts
    passed      offsets without a record, which the reader has left behind: transaction markers, aborted transactions,
                compaction. Without them a partition that ends in one would never be read to its end
    epoch       counts the times that partitions were given up. A batch that was begun before its partition was given
                up confirms nothing

A partition is a tuple (topic, partition number); clicks and changelog partitions share the same rules for reading.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["Ledger", "Partition", "Record"]

Partition = tuple[str, int]


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


class Ledger:
    """The positions of the assigned partitions. `expect` is called in the consumer's thread, the rest on the loop."""

    def __init__(self) -> None:
        self.epoch = 0
        self._all_since = 0  # the epoch in which all partitions were given up last
        self._since: dict[Partition, int] = {}  # and one of them by itself
        self._expected: dict[Partition, _Expected] = {}
        self._started: dict[Partition, int] = {}  # where the last seek went to
        self._passed: dict[Partition, _Passed] = {}
        self._confirmed: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._answered: dict[Partition, int] = {}
        self._seeking = threading.Lock()  # a seek of an earlier epoch must not be noted behind its end

    # -- epochs --

    def is_current(self, partition: Partition, epoch: int) -> bool:
        """Whether the partition was not given up since `epoch`."""
        return epoch >= max(self._all_since, self._since.get(partition, 0))

    def give_up(self, partition: Partition) -> None:
        """Nothing of this partition that was begun before can be confirmed any more; nothing is read until a seek."""
        with self._seeking:
            self.epoch += 1
            self._since[partition] = self.epoch
            for facts in (self._expected, self._started, self._passed, self._confirmed, self._committed):
                facts.pop(partition, None)

    def new_epoch(self) -> None:
        """The same for all partitions."""
        with self._seeking:
            self.epoch += 1
            self._all_since = self.epoch
            for facts in (self._since, self._expected, self._started, self._passed, self._confirmed, self._committed):
                facts.clear()

    # -- reading --

    def expect(self, partition: Partition, offset: int, *, serial: int, epoch: int) -> None:
        """Read on from `offset`: a seek was made, the `serial`-th. A seek of an earlier epoch changes nothing."""
        with self._seeking:
            if self.is_current(partition, epoch):
                self._started[partition] = offset
                self._passed.pop(partition, None)
                self._expected[partition] = _Expected(offset, serial)

    def accept(self, partition: Partition, records: Sequence[Record], *, serial: int) -> Sequence[Record]:
        """Those of `records` that come next, in order; `serial` counts the seeks made when they were fetched.

        Gaps are fine (compaction, transaction markers, retention), as every record since the seek passes through here.
        A step back without a seek means that the broker's log was cut: it is followed, from there on.
        """
        expected = self._expected.get(partition)
        if expected is None or serial < expected.serial or not records:
            return ()
        self._expected[partition] = _Expected(records[-1].offset + 1, expected.serial)
        if serial > expected.serial or records[0].offset >= expected.offset:
            return records
        kept = [record for record in records if record.offset >= expected.offset]
        return kept or records

    def passed(self, partition: Partition, position: int, *, serial: int) -> bool:
        """The reader stands at `position`, and what is below it went through `accept`; False after a later seek."""
        expected = self._expected.get(partition)
        if expected is None or serial < expected.serial:
            return False
        self._passed[partition] = _Passed(expected.offset, position)
        return True

    def is_expected(self, partition: Partition) -> bool:
        """Whether records of the partition would be accepted."""
        return partition in self._expected

    def reading(self, topic: str) -> list[Partition]:
        """The partitions of a topic of which records would be accepted."""
        return [partition for partition in list(self._expected) if partition[0] == topic]

    def committed_offset(self, partition: Partition) -> int | None:
        """Below this offset nothing is read again; None while it is not known."""
        committed = self._committed.get(partition)
        return self._started.get(partition) if committed is None else committed

    def stop_reading(self) -> None:
        """Accept nothing until the next seek; what is under way may still be confirmed."""
        with self._seeking:
            self._expected.clear()

    # -- answering --

    def confirm(self, partition: Partition, next_offset: int, *, epoch: int) -> bool:
        """All below `next_offset` is answered and acknowledged. False where the partition was given up since."""
        if not self.is_current(partition, epoch):
            return False
        self._confirmed[partition] = self._answered[partition] = next_offset
        return True

    def recovered(self, partition: Partition, next_offset: int) -> None:
        """The changelog says that all below `next_offset` was answered; 0 forgets what was known."""
        self._answered[partition] = next_offset

    def answered(self, partition: Partition) -> int:
        """Below this offset all was answered, as far as this worker knows, in any epoch; 0 if it knows nothing."""
        return self._answered.get(partition, 0)

    def position(self, partition: Partition) -> int | None:
        """Below this offset nothing is left to answer; None while it is not known."""
        confirmed = self._confirmed.get(partition)
        position = self._started.get(partition) if confirmed is None else confirmed
        passed = self._passed.get(partition)
        if position is not None and passed is not None and position >= passed.begin:
            return max(position, passed.end)
        return position

    # -- committing to the group --

    def committable(self) -> dict[Partition, int]:
        """Offsets that were not committed yet: what is confirmed, and the offsets without records behind it."""
        offsets = {partition: self.position(partition) for partition in self._confirmed}
        return {p: offset for p, offset in offsets.items() if offset is not None and self._committed.get(p) != offset}

    def committed(self, offsets: dict[Partition, int], *, epoch: int) -> None:
        """The broker has these offsets."""
        self._committed.update({p: offset for p, offset in offsets.items() if self.is_current(p, epoch)})
