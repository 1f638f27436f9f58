"""The two topics in step: a click goes into the join before the list that answers it, whichever was read first.

The head of each partition of lists decides how far the clicks go: up to its source, no further. So the order in which
all goes into the join is that of the topics, and the places read on from after a kill are those of the messages that
went in: what was read and had to wait is read again.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from stream.messages.contract import Click, Erase, Recommendation, Source
from stream.messages.erasures import ErasedLists
from stream.scoreboard.join import Judged, ListJoin

__all__ = ["Dropped", "Lane", "Lanes"]

Entry = TypeVar("Entry")


class Dropped(msgspec.Struct):
    """Messages that never came into the join."""

    rejected: int = 0  # no clicks, by the rules of the workers
    unreadable: int = 0  # no lists
    other_placements: int = 0  # lists of placements that are not counted
    foreign: int = 0  # lists that answer clicks of another topic, or of one that was made again
    erased: int = 0  # records without value: lists of erased sessions, taken back
    lost: int = 0  # messages that retention removed before they were read


@dataclass(slots=True)
class Lane(Generic[Entry]):
    """A partition."""

    read_to: int  # offset behind what was read
    done: int  # offset behind what went into the join
    waiting: deque[Entry] = field(default_factory=deque)  # what was read, and did not yet


_Clicks = Lane[tuple[int, Click | Erase | None, int]]  # offset, click, record time
_Lists = Lane[tuple[int, Recommendation | ErasedLists | None]]


class Lanes:
    """What was read of both topics and has to wait. `clicks_topic`: whose clicks the lists must answer; `placement`:
    where they must stand."""

    def __init__(self, join: ListJoin, clicks_topic: str, placement: str = "") -> None:
        self._join, self._topic, self._placement = join, clicks_topic, placement
        self.clicks: dict[int, _Clicks] = {}
        self.lists: dict[int, _Lists] = {}
        self.dropped = Dropped()

    def add(self, clicks: dict[int, int], lists: dict[int, int]) -> None:
        """Partitions, and the offset each is read from."""
        self.clicks |= {number: _Clicks(offset, offset) for number, offset in clicks.items()}
        self.lists |= {number: _Lists(offset, offset) for number, offset in lists.items()}

    def clicked(self, partition: int, offset: int, click: Click | Erase | None, at_ms: int) -> None:
        """A message of the clicks was read, and its record's time; None where it is none of theirs."""
        lane = self.clicks[partition]
        if offset >= lane.read_to:
            lane.read_to = offset + 1
            lane.waiting.append((offset, click, at_ms))

    def listed(self, partition: int, offset: int, found: Recommendation | ErasedLists | None) -> None:
        """A message of the lists was read; None where it is no list, and takes none back."""
        lane = self.lists[partition]
        if offset >= lane.read_to:
            lane.read_to = offset + 1
            lane.waiting.append((offset, found))

    def clicks_end(self, partition: int, offset: int) -> None:
        """The end of a partition of the clicks was reached: nothing below this offset is left to be read."""
        lane = self.clicks[partition]
        lane.read_to = max(lane.read_to, offset)

    def lists_end(self, partition: int, offset: int) -> None:
        """The same of the lists."""
        lane = self.lists[partition]
        lane.read_to = max(lane.read_to, offset)

    def drain(self) -> list[Judged]:
        """Put into the join what can go."""
        judged: list[Judged] = []
        for lane in self.lists.values():
            while lane.waiting:
                offset, found = lane.waiting[0]
                if found is None:
                    self.dropped.unreadable += 1
                elif isinstance(found, Recommendation) and found.placement != self._placement:
                    self.dropped.other_placements += 1
                elif found.source.topic != self._topic:
                    self.dropped.foreign += 1
                elif self._answered_was_read(found.source):
                    if isinstance(found, Recommendation):
                        judged += self._join.listed(found)
                    else:
                        self.dropped.erased += 1
                else:
                    break
                lane.waiting.popleft()
                lane.done = offset + 1
        return judged

    def stuck(self) -> dict[int, tuple[int, int]]:
        """Partitions of lists whose head waits for a click: its partition and offset."""
        heads = {number: lane.waiting[0][1] for number, lane in self.lists.items() if lane.waiting}
        return {number: (head.source.partition, head.source.offset) for number, head in heads.items() if head}

    def drop_head(self, partition: int) -> None:
        """The head of a partition of lists answers a click that does not exist."""
        lane = self.lists[partition]
        lane.done = lane.waiting.popleft()[0] + 1
        self.dropped.foreign += 1

    def _answered_was_read(self, source: Source) -> bool:
        """Whether the click that a list answers was read; it is in the join then, with all before it."""
        partition, offset = source.partition, source.offset
        lane = self.clicks.get(partition)
        if lane is None:
            return False
        while lane.waiting and lane.waiting[0][0] <= offset:
            at, click, at_ms = lane.waiting.popleft()
            lane.done = at + 1
            if click is None:
                self.dropped.rejected += 1
            elif isinstance(click, Erase):
                self._join.erase(click, Source(self._topic, partition, at))
            else:
                self._join.clicked(click, partition, at, at_ms)
        return lane.read_to > offset
