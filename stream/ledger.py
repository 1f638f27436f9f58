"""Where each partition stands: what is read next, what is confirmed, and who may still say so.

Three facts a partition, each closing one way in which clicks got lost in trials:

    expected    the offset the next accepted record must not be below. Set by a seek, in the fetching thread; records
                that were fetched before that seek carry a lower serial and are dropped, whatever generation they are of
    confirmed   everything below it was answered, and the broker has the answers; what may be committed
    epoch       counts revocations. A batch that was begun in an earlier epoch confirms nothing

A partition is a tuple (topic, partition number); clicks and changelog partitions share the same rules for reading.
"""

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
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class _Expected(NamedTuple):
    offset: int
    serial: int


class Ledger:
    """The positions of the assigned partitions. Reads and writes are single dictionary operations, so that the
    consumer's thread may call `expect` while the event loop calls the rest."""

    def __init__(self) -> None:
        self.epoch = 0
        self._expected: dict[Partition, _Expected] = {}
        self._confirmed: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._started: dict[Partition, int] = {}  # where the last seek went to

    def expect(self, partition: Partition, offset: int, *, serial: int, epoch: int) -> None:
        """Read on from `offset`: a seek was made, the `serial`-th. A seek of an earlier epoch changes nothing."""
        if epoch == self.epoch:
            self._started[partition] = offset
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

    def is_expected(self, partition: Partition) -> bool:
        """Whether records of the partition would be accepted."""
        return partition in self._expected

    def reading(self, topic: str) -> list[Partition]:
        """The partitions of a topic of which records would be accepted."""
        return [partition for partition in self._expected if partition[0] == topic]

    def position(self, partition: Partition) -> int | None:
        """Below this offset all is answered; None while it is not known."""
        confirmed = self._confirmed.get(partition)
        return self._started.get(partition) if confirmed is None else confirmed

    def committed_offset(self, partition: Partition) -> int | None:
        """Below this offset nothing is read again; None while it is not known."""
        committed = self._committed.get(partition)
        return self._started.get(partition) if committed is None else committed

    def stop_reading(self) -> None:
        """Accept nothing until the next seek; what is under way may still be confirmed."""
        self._expected = {}

    def new_epoch(self) -> None:
        """Forget all positions: from now on nothing that was begun before can be confirmed."""
        self.epoch += 1
        self._expected, self._confirmed, self._committed, self._started = {}, {}, {}, {}

    def confirm(self, partition: Partition, next_offset: int, *, epoch: int) -> bool:
        """All below `next_offset` is answered and acknowledged. False where the batch is of an earlier epoch."""
        if epoch != self.epoch:
            return False
        self._confirmed[partition] = next_offset
        return True

    def committable(self) -> dict[Partition, int]:
        """Confirmed offsets that were not committed yet."""
        return {p: offset for p, offset in self._confirmed.items() if self._committed.get(p) != offset}

    def committed(self, offsets: dict[Partition, int], *, epoch: int) -> None:
        """The broker has these offsets."""
        if epoch == self.epoch:
            self._committed.update(offsets)
