"""The partitions of one worker: which are ours, the epoch, and what is asked of all of them at once."""

import threading
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from stream.partition.owned import OwnedPartition
from stream.partition.reading import Partition, Reading

if TYPE_CHECKING:
    from stream.path.commit import Prepared

__all__ = ["Partitions"]


class Partitions:
    """Every partition there was to do with, as objects that last as long as the worker: batches on their way hold them.

    `of` may be called in any thread, the rest on the event loop. `epoch` counts the times that partitions were given
    up; a batch is stamped with the epoch in which it is begun.
    """

    def __init__(self, clicks_topic: str) -> None:
        self.clicks_topic = clicks_topic
        self.epoch = 0
        self.all_since = 0  # the epoch in which all partitions were given up last, as they are before an assignment
        self._for_good = False
        self._seeking = threading.Lock()
        self._owned: frozenset[int] = frozenset()
        self._clicks: dict[int, OwnedPartition] = {}
        self._changelogs: dict[Partition, Reading] = {}

    def __iter__(self) -> Iterator[OwnedPartition]:
        return iter(list(self._clicks.values()))

    def clicks(self, number: int) -> OwnedPartition:
        """The clicks' partition of this number."""
        known = self._clicks.get(number)
        if known is None:
            with self._seeking:  # two threads may be at it, or all be given up meanwhile
                made = OwnedPartition((self.clicks_topic, number), seeking=self._seeking, since=self.all_since)
                known = self._clicks.setdefault(number, made)
        return known

    def of(self, key: Partition) -> Reading:
        """The partition of any topic, as its reader sees it."""
        if key[0] == self.clicks_topic:
            return self.clicks(key[1])
        known = self._changelogs.get(key)
        if known is None:
            with self._seeking:
                made = Reading(key, seeking=self._seeking, since=self.all_since)
                known = self._changelogs.setdefault(key, made)
        return known

    def reading(self) -> list[OwnedPartition]:
        """The clicks' partitions of which records would be accepted: assigned, and their state recovered."""
        return [partition for partition in self if partition.is_expected]

    # -- owning --

    def owned(self) -> list[OwnedPartition]:
        """Those that the group has given us, whether they are read already or not."""
        return [partition for partition in self if partition.number in self._owned]

    def assign(self, numbers: Collection[int]) -> list[OwnedPartition]:
        """These are ours from now on, and no others; those whose state was dropped, as they are no longer."""
        self._owned = frozenset(numbers)
        for number in numbers:
            self.clicks(number)
        lost = [partition for partition in self if partition.number not in numbers]
        for partition in lost:
            partition.lose()
        return lost

    def give_up(self, partition: OwnedPartition) -> list["Prepared"]:
        """A batch of it did not get through: nothing that was begun before counts any more; the batches to be undone,
        newest first."""
        with self._seeking:
            self.epoch += 1
            return partition.give_up(self.epoch, failed=True)

    def give_up_all(self) -> list["Prepared"]:
        """The group assigns all partitions anew: the same for each of them."""
        with self._seeking:
            self.epoch += 1
            self.all_since = self.epoch
            for changelog in list(self._changelogs.values()):
                changelog.forget_position(self.epoch)
            return [prepared for partition in self for prepared in partition.give_up(self.epoch, failed=False)]

    def hold(self, *, for_good: bool = False) -> None:
        """Accept nothing until it is settled again which clicks the states are of, as it is after an assignment; what
        is under way may still be confirmed. for_good: the topic is another one, and the worker is about to end."""
        with self._seeking:
            self._for_good = self._for_good or for_good
            for clicks in self:
                clicks.held = True
            for reading in (*self, *list(self._changelogs.values())):
                reading.stop_reading()

    def release(self, numbers: Collection[int]) -> None:
        """It is settled: these may be read."""
        with self._seeking:
            for number in numbers:
                self._clicks[number].held = self._for_good

    # -- committing to the group --

    def committable(self) -> dict[Partition, int]:
        """Offsets that were not committed yet."""
        offsets = {partition.key: partition.committable for partition in self}
        return {key: offset for key, offset in offsets.items() if offset is not None}

    def committed(self, offsets: dict[Partition, int], *, epoch: int) -> None:
        """The broker has these offsets."""
        for key, offset in offsets.items():
            self.clicks(key[1]).committed(offset, epoch=epoch)

    # -- the state --

    @property
    def sessions(self) -> int:
        """Rows held, of all partitions."""
        return sum(len(partition.rows) for partition in self)

    @property
    def state_bytes(self) -> int:
        """Bytes of their keys and rows."""
        return sum(partition.rows.bytes for partition in self)
