"""When a partition may begin a batch.

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
from collections.abc import Callable
from typing import Protocol

from stream.partition.owned import OwnedPartition

__all__ = ["Overlapping", "Rounds", "Starts"]

_BACKLOG = 256  # clicks that wait: of them a batch is ranked while others are under way
_PATIENCE_S = 0.1  # for a partition whose broker is slow or away: longer than that the others do not wait


class Starts(Protocol):
    """Lives on the event loop."""

    def may_begin(self, partition: OwnedPartition) -> bool: ...
    def began(self, partition: OwnedPartition) -> None:
        """It has begun a batch, and counts it in `begun`."""

    def over(self, partition: OwnedPartition) -> None:
        """A batch of it is over, whatever became of it."""

    def close(self) -> None: ...


class Overlapping:
    """A `Starts` by partition."""

    def __init__(self, most: int) -> None:
        """`most` batches of a partition may be begun and not over."""
        self._most = most

    def may_begin(self, partition: OwnedPartition) -> bool:
        return partition.begun < self._most

    def began(self, partition: OwnedPartition) -> None:
        pass

    def over(self, partition: OwnedPartition) -> None:
        pass

    def close(self) -> None:
        pass


class Rounds:
    """A `Starts` of all partitions together. A partition with a backlog goes on by itself, `most` batches at a time."""

    def __init__(self, most: int, look_again: Callable[[], None]) -> None:
        """`look_again` is called when partitions may begin that might not before, and nobody would notice."""
        self._most, self._look_again = most, look_again
        self._awaited: set[OwnedPartition] = set()  # their batches of the last round are not over
        self._is_open = False  # the round is being begun, in this turn of the event loop
        self._patience: asyncio.TimerHandle | None = None

    def may_begin(self, partition: OwnedPartition) -> bool:
        if len(partition.line) >= _BACKLOG:
            return partition.begun < self._most
        return partition.begun == 0 and (self._is_open or not self._awaited)

    def began(self, partition: OwnedPartition) -> None:
        if self._is_open or not self._awaited:
            if not self._is_open:
                self._open()
            self._awaited.add(partition)

    def over(self, partition: OwnedPartition) -> None:
        self._awaited.discard(partition)

    def close(self) -> None:
        self._forget_patience()

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_open = True
        loop.call_soon(self._begun)
        self._forget_patience()
        self._patience = loop.call_later(_PATIENCE_S, self._lose_patience)

    def _begun(self) -> None:
        self._is_open = False

    def _lose_patience(self) -> None:
        """Whoever is not over by now is no longer waited for; it joins a round again once it is."""
        self._awaited.clear()
        self._look_again()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
