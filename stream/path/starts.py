"""When a partition may begin a batch, and when clicks are fetched again.

Overlapping     as soon as fewer than `batches_in_flight` of it are begun and not over. While the broker
                acknowledges some, others are ranked and more are prepared; where the broker is slow, its clicks wait
                in the batcher, and the next batch is larger: batches of a click or two that queue up behind it
                would never get fewer.
Rounds          all partitions together, once the batches of the last round are over. For batches that are shown one
                after another, as by transactions: one that is begun beside another of its partition is shown no
                sooner for it, and costs a ranking; and partitions that each go at their own pace rank and commit a
                click or two at a time, in each other's way. A round is one ranking, and its transactions are under
                way side by side.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from stream.partition.owned import OwnedPartition
from stream.path.inference import Inference

__all__ = ["Overlapping", "Rounds", "Starts"]

_BACKLOG = 256  # clicks that wait: of them a batch is ranked while others are under way
_RUNS = 1.5  # rankings' times of a rest: what is fetched sooner waits for the one before it
_REST_S, _LONGEST_S = 0.002, 0.012  # at 1,000 clicks/s without a rest, or with half of it, lists come later: the broker
# is busy with requests
_PATIENCE_S = 0.1  # for a partition whose broker is slow or away: longer than that the others do not wait


class Starts(Protocol):
    """Lives on the event loop, but for `fetch_at`."""

    def may_begin(self, partition: OwnedPartition) -> bool: ...
    def began(self, partition: OwnedPartition) -> None:
        """It has begun a batch, and counts it in `begun`."""

    def over(self, partition: OwnedPartition) -> None:
        """A batch of it is over, whatever became of it."""

    def fetch_at(self, responded: float) -> float:
        """When to ask for clicks again after a response that came then, by time.monotonic(). Called in any thread."""


class Overlapping:
    """A `Starts` by partition.

    A rest is as long as rankings take: where the cores are busy that is long, and what is fetched meanwhile is ranked
    no sooner, but in more and smaller batches, whose cost makes all of them wait.
    """

    def __init__(self, most: int, inference: Inference) -> None:
        """`most` batches of a partition may be begun and not over."""
        self._most, self._inference = most, inference

    def may_begin(self, partition: OwnedPartition) -> bool:
        return partition.begun < self._most

    def began(self, partition: OwnedPartition) -> None:
        pass

    def over(self, partition: OwnedPartition) -> None:
        pass

    def fetch_at(self, responded: float) -> float:
        return responded + min(max(_REST_S, _RUNS * self._inference.run_s), _LONGEST_S)


class Rounds:
    """A `Starts` of all partitions together. A partition with a backlog goes on by itself, `most` batches at a time.
    Nobody waits for one that was slow, until a batch of it is over sooner.

    Nothing is fetched until a ranking under way should be over, as it has the cores; then the next round is, as the
    transactions leave them alone.
    """

    def __init__(self, most: int, inference: Inference, look_again: Callable[[], None]) -> None:
        """`look_again` is called when partitions may begin that might not before, and nobody would notice."""
        self._most, self._inference, self._look_again = most, inference, look_again
        self._awaited: set[OwnedPartition] = set()  # their batches of the last round are not over
        self._slow: set[OwnedPartition] = set()
        self._since: dict[OwnedPartition, deque[float]] = {}  # when its batches that are not over began
        self._is_open = False  # the round is being begun, in this turn of the event loop
        self._patience: asyncio.TimerHandle | None = None

    def may_begin(self, partition: OwnedPartition) -> bool:
        if len(partition.line) >= _BACKLOG:
            return partition.begun < self._most
        return partition.begun == 0 and (self._is_open or not self._awaited)

    def began(self, partition: OwnedPartition) -> None:
        self._since.setdefault(partition, deque()).append(time.monotonic())
        if (self._awaited and not self._is_open) or partition in self._slow or partition.begun > 1:
            return  # beside the round
        if not self._is_open:
            self._open()
        self._awaited.add(partition)

    def over(self, partition: OwnedPartition) -> None:
        if time.monotonic() - self._since[partition].popleft() < _PATIENCE_S:
            self._slow.discard(partition)
        if not self._since[partition]:
            del self._since[partition]
        self._awaited.discard(partition)

    def fetch_at(self, responded: float) -> float:
        return max(responded + _REST_S, min(self._inference.over_at, responded + _LONGEST_S))

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_open = True
        loop.call_soon(self._begun)
        if self._patience is not None:
            self._patience.cancel()
        self._patience = loop.call_later(_PATIENCE_S, self._lose_patience)

    def _begun(self) -> None:
        self._is_open = False

    def _lose_patience(self) -> None:
        """Whoever is not over by now is no longer waited for, and not in the next rounds either."""
        self._slow |= self._awaited
        self._awaited.clear()
        self._look_again()
