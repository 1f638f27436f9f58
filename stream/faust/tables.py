"""Recovery of the state from the changelog, by the fetch loop. Faust's table stays empty: it stands for the changelog
topic, its partitions' assignment and the order of a recovery. The rows are the partitions' own
(`stream.partition.owned`), as the table has one row a key: a session that comes from two partitions needs two."""

import asyncio
import logging
from typing import Any

from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from mode import Service

__all__ = ["LeanRecovery", "LeanTableManager"]

log = logging.getLogger(__name__)

_POLL_S = 0.01
_AGAIN_S = 1.0  # until a recovery begins anew


class _Recovered:
    """Stands in for Faust's event `signal_recovery_end`, which two tasks set and clear; this one asks the offsets."""

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery

    async def wait(self) -> bool:
        while self._recovery.need_recovery():
            await asyncio.sleep(_POLL_S)
        self._recovery._set_recovery_ended()
        return True


def _comes_and_goes(error: Exception) -> bool:
    """Whether the same may succeed in a moment."""
    return isinstance(error, (TimeoutError, KafkaTimeoutError)) or (
        isinstance(error, KafkaError) and bool(error.retriable)
    )


def _heard(step: "asyncio.Future[Any]") -> None:
    """What failed of a step that is waited for no more, as the worker ends, is no error: no traceback for it."""
    if not step.cancelled():
        step.exception()


class LeanRecovery(Recovery):
    """Faust's order of recovery, fed by the fetch loop instead of a queue of events."""

    trouble: str | None = None  # why a recovery begins anew, until one is done

    @property
    def signal_recovery_end(self) -> Any:
        """Seam: see _Recovered."""
        return _Recovered(self)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """Seam: only to note that the state is recovered."""
        await super()._resume_streams(generation_id)
        self.trouble = None

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Seam: nothing comes through the changelog queue; the fetch loop restores the rows itself, 25 times faster."""

    @Service.task
    async def _publish_stats(self) -> None:
        """Seam: Faust's progress report reads times that only its own loop writes."""

    async def _build_highwaters(self, consumer: Any, tps: Any, destination: Any, title: str) -> None:
        """Seam: a changelog's end is asked for once nobody but us can move it, where the guarantee goes that far."""
        await self.app.intake.take_over(sorted(tp.partition for tp in tps))
        await super()._build_highwaters(consumer, tps, destination, title)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Seam: where a step times out, Faust's ends the recovery task in silence, and the worker hangs for ever; where
        the broker fails it, the worker crashes. Both come and go with a broker that is slow or was away: the recovery
        begins anew, from what it has. The watchdog sees to it that this has an end."""
        step = asyncio.ensure_future(coro)
        step.add_done_callback(_heard)
        try:
            await super()._wait(step, timeout=timeout)
        except Exception as error:
            timed_out = not step.done()
            step.cancel()  # it belongs to a recovery that is over
            if self.should_stop or isinstance(error, RebalanceAgain):
                raise
            if self.signal_recovery_start.is_set():  # another has overtaken it: what failed matters no more
                raise RebalanceAgain from None
            if not (timed_out or _comes_and_goes(error)):
                raise
            why = "the broker did not answer in time" if timed_out else str(error) or type(error).__name__
            self.trouble = f"the state could not be recovered yet: {why}"
            log.warning("%s; trying again", self.trouble)
            self.app.intake.give_up_all()  # a seek that stands in the consumer's line must not be made later
            await asyncio.sleep(_AGAIN_S)
            self.signal_recovery_start.set()
            raise RebalanceAgain from None

    def forget(self, number: int) -> None:
        """We have nothing of this partition: its recovery starts at the beginning. Said of what is lost, too: Faust may
        skip a rebalance that the next one has overtaken, and remember offsets from before both."""
        for changelog in [tp for tp in self.active_offsets if tp.partition == number]:
            self.active_offsets[changelog] = None

    def advance(self, changelog: Any, offset: int) -> None:
        """The state has all up to `offset` of this partition: a later recovery starts behind it."""
        if changelog in self.active_tps:
            known = self.active_offsets[changelog]
            if known is None or offset > known:
                self.active_offsets[changelog] = offset


class LeanTableManager(TableManager):
    """Seam: the way to have a recovery class of one's own."""

    _recovery: LeanRecovery | None

    async def on_start(self) -> None:
        """Seam: Faust sleeps a second here, for tables that are declared late; ours is there from the beginning."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    @property
    def recovery(self) -> LeanRecovery:
        if self._recovery is None:
            self._recovery = LeanRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
