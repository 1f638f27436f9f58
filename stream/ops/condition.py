"""How a worker stands: what its figures, /health and the watchdog are told of its parts.

Measured on the event loop, ten times a second; read from the threads of the web server and the watchdog.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from faust.types import TP

from stream.config import StreamConfig
from stream.faust.app import LeanApp
from stream.formats.waiting import ClickReading
from stream.guarantee.guarantee import Guarantee
from stream.guarantee.repair import Repairs
from stream.items.follower import ItemsFollower
from stream.models.follower import ModelFollower
from stream.ops.lookout import Lookout
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.ops.reporting import Reporter, describe_health
from stream.ops.watchdog import Progress, Vitals
from stream.ops.web import Health
from stream.partition.expiry import Expiry
from stream.partition.membership import Membership
from stream.partition.owned import OwnedPartition
from stream.partition.ownership import Ownership
from stream.partition.partitions import Partitions
from stream.partition.split import SplitSessions
from stream.path.answers import ItemRanker
from stream.path.batcher import Batcher
from stream.path.pipeline import Pipeline

__all__ = ["Condition", "Parts"]

_STILL_S = 5.0  # of the event loop, after which /health does not repeat what it said


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a worker that are looked at; nothing of them is changed here."""

    config: StreamConfig
    metrics: Metrics
    problems: Problems
    reporter: Reporter
    app: LeanApp
    membership: Membership
    partitions: Partitions
    ownership: Ownership
    batcher: Batcher
    pipeline: Pipeline
    guarantee: Guarantee
    repairs: Repairs
    expiry: Expiry
    split: SplitSessions
    lookout: Lookout
    follower: ModelFollower | None
    items: ItemsFollower
    reading: ClickReading


class Condition:
    """`ranker` gives what answers at present, `ending` why the worker ends, once it does."""

    def __init__(
        self, parts: Parts, *, ranker: Callable[[], ItemRanker | None], ending: Callable[[], str | None]
    ) -> None:
        self._parts, self._ranker, self._ending = parts, ranker, ending
        self.loop_at = time.monotonic()  # the event loop's last turn
        self.broker_at = 0.0  # the broker's last sign of life
        self._lag: dict[int, int] = {}
        self._waiting = False  # clicks behind the position of a partition, or a partition to be read again
        self._progress: dict[int, Progress] = {}
        self._health = Health(ready=False, variant=parts.config.variant, reasons=["the worker starts"])

    def heard(self) -> None:
        """The broker has confirmed something."""
        self.broker_at = self.loop_at

    def reading(self) -> list[int]:
        """The numbers of the partitions that are read."""
        return sorted(partition.number for partition in self._parts.partitions.reading())

    def measure(self) -> None:
        """Set the figures, and what the other threads are told."""
        parts, metrics = self._parts, self._parts.metrics
        state = parts.partitions
        metrics.queue.set(parts.batcher.queued)
        metrics.queue_bytes.set(parts.batcher.queued_bytes)
        metrics.measure_state(sessions=state.sessions, size=state.state_bytes, expired=parts.expiry.expired)
        self._lag = parts.reporter.lag(state.reading(), self._highwater)
        self._measure_progress()
        self._health = self.health()
        metrics.ready.set(self._health.ready)
        metrics.standby.set(self._health.standby)

    def health(self) -> Health:
        """What /health says."""
        parts, ending = self._parts, self._ending()
        said = [parts.guarantee.trouble, parts.membership.recovery.trouble, parts.split.warning, ending]
        return describe_health(
            ranker=self._ranker(),
            variant=parts.config.variant,
            joined=parts.membership.joined(),
            lag=self._lag,
            partitions=self.reading(),
            assigned=sorted(partition.number for partition in parts.partitions.owned()),
            trouble=parts.lookout.trouble,
            errors=[one for one in said if one],
            failed=ending is not None,
            problems=parts.problems.lasting(),
            loading=parts.follower.loading if parts.follower is not None else None,
            experiments=parts.follower.experiments.health() if parts.follower is not None else (),
            items=parts.items.health(),
        )

    def shown_health(self) -> Health:
        """In the web server's threads: what the event loop said last, unless that stands still."""
        still_s, ending = time.monotonic() - self.loop_at, self._ending()
        if ending is not None:
            reasons = [f"the worker ends: {ending}"]
            return msgspec.structs.replace(self._health, ready=False, standby=False, serving="nothing", reasons=reasons)
        if still_s < _STILL_S:
            return self._health
        reason = f"the event loop has stood still for {still_s:.0f} s"
        return msgspec.structs.replace(self._health, ready=False, reasons=[*self._health.reasons, reason])

    def vitals(self) -> Vitals:
        """In the watchdog's thread. Clicks that wait for a schema registry do not wait in vain."""
        parts = self._parts
        waiting = self._waiting or parts.batcher.queued > 0 or parts.pipeline.in_flight > 0
        waiting = waiting and not parts.reading.is_waiting
        may_join = parts.items.awaited.is_set() and (parts.follower is None or parts.follower.looked.is_set())
        return Vitals(
            loop_at=self.loop_at,
            fetched_at=parts.ownership.fetched_at,
            finished=parts.pipeline.finished + parts.ownership.restored,
            waiting=waiting or (may_join and not parts.membership.joined()),
            partitions={} if parts.reading.is_waiting else self._progress,
            restored=parts.ownership.restored,
            broker_at=self.broker_at,
            trouble=parts.membership.recovery.trouble or parts.repairs.last,
        )

    def _measure_progress(self) -> None:
        joined, owned = self._parts.membership.joined(), self._parts.partitions.owned()
        waiting = [one for one in owned if one.waits(self._highwater(one)) or (joined and not one.is_expected)]
        self._waiting = bool(waiting)
        self._progress = {one.number: Progress(one.finished, one in waiting and one.is_begun) for one in owned}
        if self._progress:  # before there was an assignment, Faust has made no consumer yet
            self.broker_at = max(self.broker_at, self._parts.membership.consumer.heard_at)

    def _highwater(self, partition: OwnedPartition) -> int | None:
        with contextlib.suppress(Exception):  # no longer assigned, or nothing fetched yet
            end: int | None = self._parts.app.consumer.highwater(TP(*partition.key))
            return end
        return None
