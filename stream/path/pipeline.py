"""Batches on their way through the commit path, overlapping, and ending in the order in which they began.

    batcher -> begin: steps 1, 2 -> inference thread: 3, 4 -> end: step 5 -> settle: 6, 7

Each stage takes the batches one after another, but for the ranking, which takes all that wait. While the broker
acknowledges some, others are ranked and more are prepared; when a partition may begin one is the rule of
`stream.path.starts`. A batch of an earlier epoch, begun before its partition was given up, is dropped at the next step:
the clicks are read again by their owner. Partitions do not wait for each other to be confirmed, but the batches of one
of them are confirmed in order.

A partition is given up when a batch of it is not confirmed, or when the group takes it. Then the state rows of all its
batches in work are put back as they were, newest batch first: a batch that is read again is folded from what the broker
has confirmed, and gives the same lists again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from stream.errors import PublishFailed
from stream.guarantee.publisher import Outgoing, Publisher, Receipt
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.path.answers import Answer, ItemRanker
from stream.path.batcher import Batch, Batcher
from stream.path.commit import CommitPath, Experimenting, Prepared
from stream.path.inference import Inference, Ranked
from stream.path.starts import Overlapping, Rounds, Starts
from stream.path.undecoded import Readable, Undecoded

__all__ = ["Observer", "Pipeline", "Ranked"]

log = logging.getLogger(__name__)

_OLD_S = 0.5  # lists that waited so long since, as in a process that was stopped, may show what was switched off


class Observer(Protocol):
    """Who wants to know of finished batches: metrics, and the sink to Redis. Must not block and must not raise."""

    def prepared(self, prepared: Prepared, seconds: float) -> None: ...
    def ranked(self, prepared: Prepared, ranked: Ranked) -> None: ...
    def confirmed(self, prepared: Prepared, ranked: Ranked, messages: list[Outgoing], seconds: float) -> None: ...


class Pipeline:
    """Lives on the event loop; `current_ranker` and `current_plan` are called in the inference thread, once a run."""

    def __init__(
        self,
        *,
        batcher: Batcher,
        partitions: Partitions,
        path: CommitPath,
        publisher: Publisher,
        observer: Observer,
        current_ranker: Callable[[], ItemRanker | None],
        may_publish: Callable[[], Awaitable[bool]],
        on_confirmed: Callable[[OwnedPartition, Receipt], None],
        on_unconfirmed: Callable[[OwnedPartition, PublishFailed], None],
        batches_in_flight: int,
        in_rounds: bool = False,
        current_plan: Callable[[], Experimenting | None] = lambda: None,
        readable: Readable | None = None,
    ) -> None:
        """`on_confirmed` hears what the broker has, `on_unconfirmed` of partitions that were given up for a batch.
        `in_rounds`: the batches of a partition are shown one after another (`stream.path.starts`).
        `readable` says when the clicks of a batch can be decoded; None: they always can."""
        self._batcher, self._partitions, self._path = batcher, partitions, path
        self._publisher, self._observer = publisher, observer
        self._current_ranker, self._current_plan, self._may_publish = current_ranker, current_plan, may_publish
        self._on_confirmed, self._on_unconfirmed = on_confirmed, on_unconfirmed
        self._inference = Inference(self._rank)
        self._ranking: asyncio.Queue[tuple[Prepared, asyncio.Future[Ranked]]] = asyncio.Queue()
        self._settling: dict[OwnedPartition, asyncio.Queue[_Published]] = {}  # each with a task of its own
        self._clicks_ahead = 0  # prepared and not yet ranked
        self._room_ahead = asyncio.Event()
        self._room_ahead.set()
        self._starts: Starts = (
            Rounds(batches_in_flight, self._inference, batcher.look_again)
            if in_rounds
            else Overlapping(batches_in_flight, self._inference)
        )
        self._undecoded = Undecoded(readable, self._run, self._decoded)
        self.in_flight = 0  # batches begun and not yet over
        self._broken = False  # a stage has ended: what is in flight stays so
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self.finished = 0  # batches, for the watchdog

    def start(self, on_crash: Callable[[BaseException], None]) -> None:
        """Start the stages; an error that no rule covers is handed to `on_crash`, and the stage is over."""
        self._inference.start()
        self._on_crash = on_crash
        for stage in (self._begin, self._end):
            self._run(stage(), stage.__name__)

    def fetch_at(self, responded: float) -> float:
        """When to ask for clicks again after a response that came then, by time.monotonic(). May be called in any
        thread."""
        return self._starts.fetch_at(responded)

    async def drained(self, timeout_s: float) -> bool:
        """Wait until every batch that was begun has ended, but for those that wait for a schema; False after
        `timeout_s`, or when a stage has crashed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        return self._idle.is_set() and not self._broken

    def give_up(self, partition: OwnedPartition) -> None:
        """Nothing of the partition that was begun counts any more, and nothing that waits is begun; a seek is due."""
        self._publisher.withdraw(partition.key)
        self._undo(self._partitions.give_up(partition))
        self._forget(self._undecoded.give_up(partition))

    def give_up_all(self) -> None:
        """The same for all partitions."""
        self._publisher.withdraw()
        self._undo(self._partitions.give_up_all())
        self._forget(self._undecoded.give_up())

    async def stop(self) -> None:
        """Stop the stages where they are; what is in flight is not acknowledged."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._inference.stop()

    async def _begin(self) -> None:
        while True:
            await self._room_ahead.wait()
            batch = await self._batcher.take(self._partitions, self._may_begin)
            batch.partition.begun += 1
            self._starts.began(batch.partition)
            self.in_flight += 1
            if not self._undecoded.waits(batch):
                self._prepare(batch)

    def _may_begin(self, partition: OwnedPartition) -> bool:
        return partition not in self._undecoded and self._starts.may_begin(partition)

    def _decoded(self, batch: Batch) -> None:
        self._prepare(batch)
        self._batcher.look_again()  # its partition may begin the next one

    def _prepare(self, batch: Batch) -> None:
        self._idle.clear()
        started = time.perf_counter()
        prepared = self._path.prepare(batch)  # 1. 2.
        batch.partition.begin(prepared)
        self._observer.prepared(prepared, time.perf_counter() - started)
        self._count_ahead(len(batch.records))
        self._ranking.put_nowait((prepared, self._inference.submit(prepared)))

    def _rank(self, batches: Sequence[Prepared]) -> tuple[list[list[Answer]], str]:
        """In the inference thread."""
        ranker = self._current_ranker()
        current = [self._is_current(prepared) for prepared in batches]
        counting = [prepared for prepared, counts in zip(batches, current, strict=True) if counts]
        answers = iter(self._path.rank(counting, ranker, self._current_plan()))  # 3. 4.
        return [next(answers) if counts else [] for counts in current], ranker.version if ranker else ""

    def _count_ahead(self, clicks: int) -> None:
        """One full batch in work, and as much ready when it is done."""
        self._clicks_ahead += clicks
        if self._clicks_ahead <= self._batcher.max_batch:
            self._room_ahead.set()
        else:
            self._room_ahead.clear()

    async def _end(self) -> None:
        while True:
            prepared, ranking = await self._ranking.get()
            ranked = await ranking
            self._count_ahead(-len(prepared.batch.records))
            self._observer.ranked(prepared, ranked)
            if not await self._may_publish() and self._is_current(prepared):
                self.give_up(prepared.batch.partition)
            if self._is_current(prepared) and time.monotonic() - ranked.at > _OLD_S:
                ranked = await self._inference.submit(prepared)
            if not self._is_current(prepared):
                self._over(prepared.batch)
                continue
            messages = self._path.messages(prepared, ranked.answers, ranked.model)
            receipt = await self._publisher.publish(prepared.batch.partition.key, messages)  # 5.
            self._settling_of(prepared).put_nowait(_Published(prepared, ranked, messages, receipt, time.perf_counter()))

    async def _settle(self, settling: "asyncio.Queue[_Published]") -> None:
        """Steps 6 and 7 of one partition, batch by batch: none is confirmed before the ones that began earlier."""
        while True:
            published = await settling.get()
            try:
                receipt = await published.receipt  # 6.
            except PublishFailed as error:
                if self._is_current(published.prepared):
                    partition = published.prepared.batch.partition
                    self.give_up(partition)
                    self._on_unconfirmed(partition, error)
            else:
                self._confirm(published, receipt)  # 7.
            self._over(published.prepared.batch)

    def _confirm(self, published: "_Published", receipt: Receipt) -> None:
        batch = published.prepared.batch
        if not batch.partition.confirm(batch.records[-1].offset + 1, epoch=batch.epoch):
            return
        batch.partition.end(published.prepared)
        self.finished += 1
        self._on_confirmed(batch.partition, receipt)
        seconds = time.perf_counter() - published.at
        self._observer.confirmed(published.prepared, published.ranked, published.messages, seconds)

    def _is_current(self, prepared: Prepared) -> bool:
        return prepared.batch.partition.is_current(prepared.batch.epoch)

    def _undo(self, batches: Sequence[Prepared]) -> None:
        for prepared in batches:
            self._path.undo(prepared)
        self._batcher.look_again()  # there is room where lines were

    def _forget(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._over(batch)

    def _settling_of(self, prepared: Prepared) -> "asyncio.Queue[_Published]":
        partition = prepared.batch.partition
        if partition not in self._settling:
            self._settling[partition] = asyncio.Queue()
            self._run(self._settle(self._settling[partition]), f"_settle {partition}")
        return self._settling[partition]

    def _run(self, stage: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(_guarded(stage, self._crash), name=f"pipeline{name}")
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)
        return task

    def _crash(self, error: BaseException) -> None:
        self._broken = True
        self._idle.set()  # nobody waits for what will not end
        self._on_crash(error)

    def _over(self, batch: Batch) -> None:
        batch.partition.begun -= 1
        self._starts.over(batch.partition)
        self.in_flight -= 1
        if self.in_flight <= len(self._undecoded):
            self._idle.set()
        self._batcher.look_again()


class _Published(NamedTuple):
    prepared: Prepared
    ranked: Ranked
    messages: list[Outgoing]
    receipt: asyncio.Future[Receipt]
    at: float


async def _guarded(stage: Coroutine[Any, Any, None], on_crash: Callable[[BaseException], None]) -> None:
    try:
        await stage
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        on_crash(error)
