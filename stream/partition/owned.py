"""All that a worker knows of one partition of the clicks, in one object; what outlives what is told here.

of an epoch         positions, the line of waiting records, the batches that are begun and not confirmed. `give_up`
                    ends them: a batch was not confirmed, or the group assigns its partitions anew. What was begun
                    before confirms nothing any more, and the clicks are read again
of the state here   the sessions' rows, which of them are idle and for how long, which were erased, the rows of the
                    changelog that are to be written again, the position that an exactly-once worker left. They are
                    right whenever the open batches are undone, and so outlive `give_up`: nothing is recovered after a
                    rewind. `lose` ends them: the partition is no longer ours. `take_over` does where nothing that was
                    known before may be trusted
for good            `answered`: below it all was answered, whoever owned the partition in between

confirmed   everything below it was answered, and the broker has the answers; what may be committed
answered    the same over all epochs: as last confirmed here, or as the changelog said; where reading starts
committed   what the group was told
"""

import threading
from collections import deque
from typing import TYPE_CHECKING

from stream.partition.erased import ErasedSessions
from stream.partition.idle import IdleSessions
from stream.partition.line import Line
from stream.partition.reading import Partition, Reading
from stream.partition.rows import SessionRows

if TYPE_CHECKING:
    from stream.path.commit import Prepared

__all__ = ["OwnedPartition"]


class OwnedPartition(Reading):
    """Lives on the event loop, but for `expect`. Made by `stream.partition.partitions.Partitions`, one a number."""

    def __init__(self, key: Partition, *, seeking: "threading.Lock | None" = None, since: int = 0) -> None:
        super().__init__(key, seeking=seeking, since=since)
        # of an epoch
        self.line = Line()
        self._open: deque[Prepared] = deque()
        self._confirmed: int | None = None
        self._committed: int | None = None
        # of the state here
        self.rows = SessionRows()
        self.idle = IdleSessions()
        self.erased = ErasedSessions()
        self.stale: set[bytes] = set()  # keys of the changelog whose newest row is not the one at hand
        self.behind: int | None = None  # where the state stood when rows of others were seen behind it
        self.old_position = False  # the changelog has a position that an exactly-once worker left
        self.origin: str | None = None  # the identity of the clicks' topic, as the changelog names it
        self.newest = 0  # the offset behind the newest click that a state was found to be of
        # for good
        self.answered = 0
        self.finished = 0  # batches confirmed
        self.unsettled = False  # a batch did not get through, and none was confirmed since
        self._restored = 0  # the changelog's offset up to which rows were recovered since the last confirmed batch
        self.is_reset = False  # its state was dropped, as it was of other clicks; so is the offset that the group knows
        self.begun = 0  # batches that are not over: those that were given up leave the pipeline by themselves

    def __repr__(self) -> str:
        return f"{self.topic}-{self.number}"

    # -- owning --

    def take_over(self) -> None:
        """Ours from now on, and nobody else's: what was known before is not trusted, the changelog tells all anew."""
        self._forget_state()
        self.answered = 0

    def give_up(self, epoch: int, *, failed: bool) -> list["Prepared"]:
        """Nothing that was begun before `epoch` can be confirmed any more, nothing that waits is begun, and nothing is
        read until a seek. The batches to be undone, newest first. failed: not for the group's sake, but as a batch did
        not get through. The caller holds the lock."""
        self.unsettled = self.unsettled or failed
        self.forget_position(epoch)
        self._confirmed = self._committed = None
        self.line.clear()
        undone = list(reversed(self._open))
        self._open.clear()
        return undone

    def lose(self) -> None:
        """It is another worker's, with its state."""
        self._forget_state()
        self.unsettled, self._restored = False, 0
        self.is_reset = False

    def _forget_state(self) -> None:
        self.rows.clear()
        self.idle, self.erased, self.stale = IdleSessions(), ErasedSessions(), set()
        self.behind, self.old_position = None, False
        self.origin, self.newest = None, 0

    # -- answering --

    def begin(self, prepared: "Prepared") -> None:
        """A batch has changed rows; it is to be confirmed, or undone, after those that began before it."""
        self._open.append(prepared)

    def confirm(self, next_offset: int, *, epoch: int) -> bool:
        """All below `next_offset` is answered and acknowledged. False where the partition was given up since."""
        if not self.is_current(epoch):
            return False
        self._confirmed = self.answered = next_offset
        return True

    def begin_anew(self, offset: int, *, epoch: int) -> None:
        """Reading is about to begin at `offset`. Where the state was reset, the group is to know that: the offset it
        has is of other clicks, and would be taken for one of these once there are as many."""
        if self.is_reset and self._confirmed is None:
            self.confirm(offset, epoch=epoch)

    def skip(self, begin: int, end: int) -> None:
        """No record is left below `end`. If reading began at `begin` and has not gone on from there, nothing waits."""
        if self._expected is not None and self._expected.offset == self._started == begin:
            self.confirm(end, epoch=self.since)

    def end(self, prepared: "Prepared") -> None:
        """The batch was confirmed."""
        first = self._open.popleft()
        assert first is prepared, "batches of a partition end in the order in which they began"
        self.finished += 1
        self.unsettled, self._restored = False, 0

    def recovered(self, next_offset: int) -> None:
        """The changelog says that all below `next_offset` was answered; 0 forgets what was known."""
        self.answered = next_offset

    def restored(self, next_offset: int) -> int:
        """The changelog was recovered up to there; how much further that is than ever since the last confirmed batch.
        What is recovered again and again, as no batch gets through, is no progress."""
        more = max(next_offset - self._restored, 0)
        self._restored += more
        return more

    def waits(self, end: int | None) -> bool:
        """Whether clicks of it are to be answered. `end`: behind the last one there is; None where that is unknown."""
        if self.is_expected and end is not None and self.position is not None:
            return self.position < end
        return self.unsettled

    @property
    def is_begun(self) -> bool:
        """Whether clicks of it are on their way, or were when it was given up, or it is not read. Where they only stand
        in line, other partitions' come first, and all of them may be slow."""
        return self.unsettled or self.begun > 0 or not self.is_expected

    @property
    def position(self) -> int | None:
        """Below this offset nothing is left to answer; None while it is not known."""
        position = self._started if self._confirmed is None else self._confirmed
        passed = self._passed
        if position is not None and passed is not None and position >= passed.begin:
            return max(position, passed.end)
        return position

    # -- committing to the group --

    @property
    def committable(self) -> int | None:
        """The offset that was not committed yet: what is confirmed, and the offsets without records behind it."""
        if self._confirmed is None or self.position == self._committed:
            return None
        return self.position

    @property
    def committed_offset(self) -> int | None:
        """Below this offset nothing is read again; None while it is not known."""
        return self._started if self._committed is None else self._committed

    def committed(self, offset: int, *, epoch: int) -> None:
        """The broker has this offset."""
        if self.is_current(epoch):
            self._committed = offset
            self.is_reset = False  # the group knows an offset of these clicks
