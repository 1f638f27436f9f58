"""Stand-ins for what the consumer works with: a worker without a pipeline, a thread that has what it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from faust.types import TP

from stream.config import StreamConfig
from stream.faust.app import build_app
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Partition
from stream.path.batcher import Batcher
from tests.stream.records import FakeRecord

__all__ = ["FakeIntake", "FakeThread", "tp", "with_consumer"]


class FakeIntake:
    """A worker without a pipeline."""

    def __init__(self) -> None:
        self.partitions, self.batcher = Partitions("clicks"), Batcher(max_batch=10, max_queued=100)
        self.commit_s, self.drain_s, self.fetched_at = 1.0, 0.1, 0.0
        self.restored: list[int] = []
        self.positions: dict[tuple[str, int], int] = {}
        self.is_drained = True
        self.is_settled = True
        self.ends: Mapping[int, int] = {}

    def fetch_at(self, responded: float) -> float:
        return responded

    def assigned(self, numbers: Collection[int]) -> None: ...

    async def take_over(self, numbers: Sequence[int]) -> None: ...

    async def settle(self, numbers: Sequence[int], ends: Callable[[], Awaitable[Mapping[int, int]]]) -> bool:
        self.ends = await ends()
        return self.is_settled

    def moved(self, partition: Partition, begin: int, end: int) -> None: ...

    def start_of(self, partition: OwnedPartition, committed: int | None) -> int | None:
        return partition.answered or committed

    def give_up_all(self) -> None:
        self.partitions.give_up_all()
        self.batcher.clear()

    async def drained(self, timeout_s: float) -> bool:
        return self.is_drained

    def restore(self, partition: tuple[str, int], records: Any) -> None:
        self.restored += [record.offset for record in records]

    def restored_to(self, partition: tuple[str, int], position: int) -> None:
        self.positions[partition] = position

    def crash(self, error: BaseException) -> None:
        raise error


class FakeThread:
    """A consumer thread that has what it is told."""

    def __init__(self) -> None:
        self.fetches: list[tuple[dict[Any, list[FakeRecord]], dict[Any, int], int]] = []
        self.commits: list[dict[Any, int]] = []
        self.error: Exception | None = None
        self.seeks: list[dict[Any, int]] = []
        self.waits: list[float] = []
        self.epochs: list[int] = []  # of the seeks
        self.on_committed: Callable[[], object] = lambda: None
        self.long_poll_ms = 0

    async def fetch(self, active: Any, wait_s: float) -> Any:
        self.waits.append(wait_s)
        return self.fetches.pop(0)

    async def commit_offsets(self, offsets: dict[Any, int]) -> None:
        if self.error is not None:
            raise self.error
        self.commits.append(offsets)

    async def committed(self, partitions: Any) -> dict[Any, int | None]:
        self.on_committed()
        return {tuple(partition): None if partition[1] else 7 for partition in partitions}

    async def highwaters(self, *partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, 50)

    async def earliest_offsets(self, *partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, 3)

    async def seek_in(self, epoch: int, partitions: dict[Any, int]) -> None:
        self.epochs.append(epoch)
        self.seeks.append(partitions)

    def poll_at_most(self, wait_ms: int) -> None:
        self.long_poll_ms = wait_ms


def with_consumer(check: Any) -> None:
    async def run() -> None:
        intake = FakeIntake()
        app, _ = build_app(StreamConfig(bootstrap_servers="a:1", registry="nowhere"), lambda: intake)
        consumer = app.consumer
        consumer._thread = FakeThread()
        await check(consumer, consumer._thread, intake)

    asyncio.run(run())


def tp(number: int, topic: str = "clicks") -> Any:
    return TP(topic, number)
