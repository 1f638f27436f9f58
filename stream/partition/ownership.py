"""The partitions of one worker: taken over with their state, read, given up. What the consumer needs of the worker.

take_over      nobody else writes for them from now on (with transactions; else the group's word must do)
restore        their changelog becomes the state, while they are not read yet
start_of       where reading the clicks begins
unconfirmed    a batch of one was not confirmed: its clicks are read again, or everything is taken over anew
give_up_all    the group assigns them anew
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from faust.types import TP

from stream.config import StreamConfig
from stream.errors import PublishFailed
from stream.faust.app import LeanApp
from stream.faust.tables import TableStore
from stream.guarantee.publisher import Publisher, Receipt
from stream.partition.changelog import ChangelogReader
from stream.partition.expiry import Expiry
from stream.partition.keeper import ChangelogKeeper
from stream.partition.ledger import Ledger, Partition, Record
from stream.partition.positions import split_positions
from stream.partition.recovery import Row
from stream.path.batcher import Batcher
from stream.path.commit import CommitPath
from stream.path.pipeline import Pipeline

__all__ = ["Ownership"]

log = logging.getLogger(__name__)

_LEASE_SHARE = 0.9  # of the session time-out; without a heartbeat for so long nothing is published


class Ownership:
    """Lives on the event loop; is the `Intake` of `stream.faust.consumer`. `connect` before the app starts."""

    def __init__(
        self,
        config: StreamConfig,
        app: LeanApp,
        store: TableStore,
        ledger: Ledger,
        batcher: Batcher,
        *,
        expiry: Expiry,
        path: CommitPath,
        crash: Callable[[BaseException], None],
        has_ended: Callable[[], bool],
    ) -> None:
        """`crash` ends the worker; `has_ended` says that it is ending."""
        self.ledger, self.batcher, self.crash = ledger, batcher, crash
        self.clicks_topic = config.topics.clicks
        self.commit_s = max(config.delivery_timeout_s, 1.0)
        self.drain_s = config.delivery_timeout_s + 1.0
        self.fetched_at = time.monotonic()
        self.fenced: str | None = None  # why everything is being taken over anew
        self.restored = 0  # changelog rows
        self._config, self._app, self._store = config, app, store
        self._expiry, self._path, self._has_ended = expiry, path, has_ended
        self._exactly_once = config.guarantee == "exactly-once"
        self._keeper = ChangelogKeeper(
            config.changelog_topic,
            store,
            app.tables.recovery,
            owned=self._recovered,
            may_publish=self.may_publish,
            found=self._note_found,
        )
        self._repair: asyncio.Task[None] | None = None  # the newest task that follows an unconfirmed batch

    def connect(self, publisher: Publisher, pipeline: Pipeline) -> None:
        """What is made on the event loop."""
        self._publisher, self._pipeline = publisher, pipeline
        pipeline.changelog_rows, pipeline.on_unconfirmed = self.changelog_rows, self.unconfirmed

    def joined(self) -> bool:
        """Whether the group has given us our share, which may be none, and its state is recovered."""
        return self._app.tables.recovery.completed.is_set() and not self._app.rebalancing

    def reading(self) -> list[Partition]:
        """The clicks' partitions that are being read: assigned, and their state recovered."""
        return self.ledger.reading(self.clicks_topic)

    async def may_publish(self) -> bool:
        """Whether the group counts us as a member, as far as we know. Waits while it might not; False to give up."""
        consumer = self._app.consumer
        lease_s = _LEASE_SHARE * self._config.broker_session_timeout_s
        while not consumer.lease(lease_s):
            if consumer.closing or self._has_ended():
                return False
            await asyncio.sleep(0.05)
        return True

    async def keep_changelog(self) -> None:
        """Look after rows that others write into the changelog; with transactions nobody can."""
        if not self._exactly_once:
            config = self._config
            reader = ChangelogReader(config.bootstrap_servers, config.changelog_topic, config.kafka)
            await self._keeper.keep(self._publisher, reader)

    def stop(self) -> None:
        """Nothing is read again or taken over any more."""
        if self._repair is not None:
            self._repair.cancel()

    # -- the group gives and takes --

    async def drained(self, timeout_s: float) -> bool:
        """Wait for the batches in flight."""
        return await self._pipeline.drained(timeout_s)

    async def take_over(self, numbers: Sequence[int]) -> None:
        """Before the state of these partitions is recovered: from now on nobody else changes it."""
        if not await self.may_publish():
            return
        gained = await self._publisher.take_over([(self.clicks_topic, number) for number in numbers])
        self.fenced = None
        self._store.drop({number for _, number in gained})
        for partition in gained:
            self.ledger.recovered(partition, 0)
            self._app.tables.recovery.forget(partition[1])

    def give_up_all(self) -> None:
        """The partitions are being assigned anew: nothing that was begun counts any more."""
        self._pipeline.give_up_all()

    def start_of(self, partition: Partition, committed: int | None) -> int | None:
        """Where reading starts, given the group's offset: at the position, which is exact, or at what is further."""
        answered = self.ledger.answered(partition)
        if answered and (self._exactly_once or committed is None):
            return answered
        return committed if committed is None else max(committed, answered)

    # -- the changelog --

    def restore(self, partition: Partition, records: Sequence[Record]) -> None:
        """Changelog records of a partition that is being recovered, in order."""
        if partition not in self._app.tables.recovery.active_tps:
            return
        rows, position = split_positions(records)
        if position is not None and self._exactly_once:
            clicks = (self.clicks_topic, partition[1])
            self.ledger.recovered(clicks, max(position, self.ledger.answered(clicks)) if position else 0)
        elif position is not None:
            (self._path.old_positions.add if position else self._path.old_positions.discard)(partition[1])
        self._keeper.restore(partition[1], rows, records[-1].offset)
        self._expiry.restored(partition[1], rows)
        self.restored += len(records)

    def restored_to(self, partition: Partition, position: int) -> None:
        """All changelog records below `position` were restored; the last of them may have been a transaction marker."""
        self._app.tables.recovery.advance(TP(*partition), position - 1)

    def changelog_rows(self, partition: Partition, receipt: Receipt) -> None:
        """Rows of ours are in the changelog. In transactions there can be none of others before or between them."""
        if not self._exactly_once:
            self._path.old_positions.discard(partition[1])  # its tombstone was among the rows
            self._keeper.confirmed(partition[1], receipt)
        elif receipt.tracked_offset >= 0:
            changelog = TP(self._config.changelog_topic, partition[1])
            self._app.tables.recovery.advance(changelog, receipt.tracked_offset)

    # -- a batch is not confirmed --

    def unconfirmed(self, partition: Partition, error: PublishFailed) -> None:
        """Its clicks are read again; where another owner may have taken its place, after all is taken over anew."""
        consumer, again = self._app.consumer, "joins its group" if self._exactly_once else "reads the clicks"
        log.warning("%s; the worker %s again", error, again)
        if self._has_ended():  # by the next owner
            return
        if self._exactly_once:
            self.fenced = f"joining the group again: {error}"
        if self._repair is None or self._repair.done():  # never two at once: the later seek would go back
            self._repair = asyncio.create_task(consumer.rejoin() if self._exactly_once else consumer.rewind())
            self._repair.add_done_callback(self._repaired)

    def _repaired(self, repair: "asyncio.Task[None]") -> None:
        error = None if repair.cancelled() else repair.exception()
        if error is not None:
            self.crash(error)

    def _note_found(self, partition: int, rows: Sequence[Row]) -> None:
        """A zombie may have brought back a session that was forgotten: it is, again, after another silence."""
        self._expiry.touch(partition, [row.key for row in rows if row.key and row.value is not None], time.time())

    def _recovered(self) -> list[int]:
        """Partitions that are ours with their state."""
        return [number for _, number in self.reading()] if self.joined() else []
