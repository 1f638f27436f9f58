"""Sessions whose clicks come from more than one partition: found, counted, and said once, with the remedy.

Kafka keeps a session's clicks in order only where its key always goes to the same partition. Where producers disagree
on the partitioner (librdkafka's default is CRC32, Java's is murmur2), a session is in two: each partition's clicks are
a session of their own here, and each list is for a part of what the shopper did.

What is looked at: whether a session that is new in its partition has a row in another one of this worker's. So a shop
with a partitioner of its own in all producers is never blamed, and a click costs nothing: only new sessions are looked
up, many at once. Partitions of other workers are not seen, but sessions spread evenly: some are found soon.
"""

import logging
from collections.abc import Sequence

from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions

__all__ = ["REMEDY", "SplitSessions"]

log = logging.getLogger(__name__)

REMEDY = (
    "producers disagree on the partitioner: set partitioner=murmur2_random in all of them that use librdkafka, or one "
    "rule in all (clicks written before the number of partitions was changed fade out by themselves)"
)


class SplitSessions:
    """Lives on the event loop."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions
        self.warning: str | None = None  # for /health, from the first one on

    def look(self, partition: OwnedPartition, new: Sequence[bytes]) -> int:
        """How many of the sessions that are new in `partition` are known in another one, too."""
        others = [one for one in self._partitions if one is not partition and one.rows.holds_any(new)]
        if not others:
            return 0
        if self.warning is None:
            self.warning = f"sessions of {partition} are in {others[0]} as well, and are folded apart: {REMEDY}"
            log.warning("%s", self.warning)
        return sum(any(key in other.rows for other in others) for key in new)
