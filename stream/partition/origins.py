"""Whether the sessions' states are of the clicks that are in the topic now.

A state remembers the offset of its newest click, and skips what is at or below it as a repeat. If the topic of the
clicks is deleted and made again, or its log is cut, the same offsets are other clicks: known sessions would stand still
in silence. Two things tell it, when a partition's state is recovered and none of its clicks is read yet:

    the topic's identity    written once into each partition of the changelog, and compared from then on
    the log's end           a state, a position, or an erase, above it is of clicks that are not there

Such a partition is not read. With `reset_state` its sessions are forgotten, in the changelog too, and its clicks are
read from the oldest that is there.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from stream.config import StreamConfig
from stream.errors import PublishFailed, TopicError
from stream.guarantee.publisher import Outgoing
from stream.partition.erased import ErasedSessions, mark_of
from stream.partition.owned import OwnedPartition
from stream.partition.positions import ORIGIN_KEY, POSITION_KEY, is_reserved
from stream.partition.recovery import Row
from stream.partition.session import decode_head

__all__ = ["Origins"]

log = logging.getLogger(__name__)

_LATE_S = 5.0  # for a broker that has become a partition's leader to know its end
_ASK_S = 0.5
_NEWEST = 5  # rows of each read that are looked into; the newest state stands among the last ones written
_AT_ONCE = 500  # rows deleted in one go


class Origins:
    """Lives on the event loop. `identity` gives the topic's, None where it is not known; `publish` writes rows of a
    partition into the changelog and returns once they are confirmed; `forgotten` hears how many sessions were dropped,
    `refuse` why a partition must not be read."""

    def __init__(
        self,
        config: StreamConfig,
        *,
        identity: Callable[[], Awaitable[str | None]],
        publish: Callable[[OwnedPartition, Sequence[Outgoing]], Awaitable[None]],
        forgotten: Callable[[int], None],
        refuse: Callable[[TopicError], None],
    ) -> None:
        self._config = config
        self._identity, self._publish = identity, publish
        self._forgotten, self._refuse = forgotten, refuse

    def restored(self, partition: OwnedPartition, rows: Iterable[Row]) -> None:
        """The next rows of a partition's changelog, before they become its state."""
        sessions: deque[bytes] = deque(maxlen=_NEWEST)
        for row in rows:
            if row.key == ORIGIN_KEY:
                partition.origin = (row.value or b"").decode(errors="replace")
            elif row.key == POSITION_KEY and row.value is None:
                partition.recovered(0)  # a reset: the positions before it are of other clicks than the ones behind it
            elif row.value is not None and not is_reserved(row.key):
                sessions.append(row.value)
            elif row.value is None and (mark := mark_of(row)) is not None:
                partition.newest = max(partition.newest, mark.offset + 1)
        partition.newest = max(partition.newest, *(decode_head(row).offset + 1 for row in sessions), 0)

    async def settle(
        self, partitions: Sequence[OwnedPartition], ends: Callable[[], Awaitable[Mapping[int, int]]]
    ) -> bool:
        """The states are recovered: may the clicks be read? Resets what is to be reset. Raises PublishFailed."""
        identity = await self._identity()
        other = await self._above(partitions, ends)
        other |= {one: why for one in partitions if (why := _other_topic(one, identity))}
        if other and not self._config.reset_state:
            self._refuse(TopicError(self._words(other)))
            return False
        for partition, why in other.items():
            await self._drop(partition, why)
        for partition in partitions:  # without states nothing is refused, but what the group knows is of other clicks
            if identity and partition.origin and partition.origin != identity:
                partition.is_reset = True
                await self._delete(partition, partition.erased)
                partition.erased = ErasedSessions()
        if identity:
            await self._write([one for one in partitions if one.origin != identity], identity)
        return True

    async def _above(
        self, partitions: Sequence[OwnedPartition], ends: Callable[[], Awaitable[Mapping[int, int]]]
    ) -> dict[OwnedPartition, str]:
        """Partitions whose newest state, or position, lies above their end."""
        above: dict[OwnedPartition, int] = {}
        for left in reversed(range(int(_LATE_S / _ASK_S))):
            found = await ends()
            above = {one: found.get(one.number, 0) for one in partitions}
            above = {one: end for one, end in above.items() if _read_up_to(one) > end}
            for partition in above:
                _measure(partition)  # the row may have been overtaken by a tombstone since
            above = {one: end for one, end in above.items() if _read_up_to(one) > end}
            if not above or not left:
                break
            await asyncio.sleep(_ASK_S)
        return {
            one: f"the log ends at offset {end}, the newest of them is of {_read_up_to(one) - 1}"
            for one, end in above.items()
        }

    def _words(self, other: Mapping[OwnedPartition, str]) -> str:
        partition, why = next(iter(other.items()))
        clicks, more = self._config.topics.clicks, f", and {len(other) - 1} partitions more" if len(other) > 1 else ""
        return (
            f"the sessions' states in {self._config.changelog_topic}-{partition.number} are not of the clicks in "
            f"{clicks}: {why}{more}. {clicks} was made again, or cut: start the workers with --reset-state, and all "
            "sessions of such partitions start anew; or use another --group"
        )

    async def _drop(self, partition: OwnedPartition, why: str) -> None:
        """Tombstones for all that is known of a partition, first in the changelog, then here."""
        sessions = len(partition.rows)
        await self._delete(partition, [*dict.fromkeys([*partition.rows, *partition.erased]), POSITION_KEY])
        partition.take_over()
        partition.is_reset = True
        self._forgotten(sessions)
        log.warning(
            "%d sessions of %s-%d are forgotten, and its clicks are read from the oldest on, as --reset-state says: %s",
            *(sessions, self._config.changelog_topic, partition.number, why),
        )

    async def _delete(self, partition: OwnedPartition, keys: Iterable[bytes]) -> None:
        topic, number, keys = self._config.changelog_topic, partition.number, list(keys)
        for place in range(0, len(keys), _AT_ONCE):
            some = keys[place : place + _AT_ONCE]
            await self._publish(partition, [Outgoing(topic, key, None, None, number, True) for key in some])

    async def _write(self, partitions: Sequence[OwnedPartition], identity: str) -> None:
        """A partition whose identity cannot be written now gets it with the next assignment."""
        for partition in partitions:
            row = Outgoing(self._config.changelog_topic, ORIGIN_KEY, identity.encode(), None, partition.number, True)
            try:
                await self._publish(partition, [row])
            except PublishFailed as error:
                log.info("the identity of the clicks' topic was not written for %s: %s", partition, error)
            else:
                partition.origin = identity


def _other_topic(partition: OwnedPartition, identity: str | None) -> str | None:
    written = partition.origin
    if not (identity and written) or written == identity:
        return None
    if not partition.rows and not partition.answered:
        return None  # nothing is left that could contradict the clicks
    return f"they are of a topic with another identity ({written}, not {identity})"


def _read_up_to(partition: OwnedPartition) -> int:
    """The clicks below it were read, as far as states and position tell."""
    return max(partition.newest, partition.answered)


def _measure(partition: OwnedPartition) -> None:
    """The newest click that a state is of, of all that are held, or an erase."""
    newest = max((decode_head(row).offset for row in partition.rows.values()), default=-1)
    partition.newest = max(newest, partition.erased.newest) + 1
