"""Rows of others in the changelog: found, read, and written over."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from faust.types import TP

from stream.errors import PublishFailed
from stream.guarantee.publisher import Outgoing, Receipt
from stream.partition.erased import Mark, mark_headers
from stream.partition.keeper import ChangelogKeeper
from stream.partition.owned import OwnedPartition
from stream.partition.reading import Partition
from stream.partition.recovery import Row
from tests.stream.partition.test_recovery import row
from tests.stream.records import TS, FakeRecord

TOPIC = "sessions-changelog"


class Topic:
    """One partition of the changelog; the publisher and the reader of the worker that keeps it."""

    def __init__(self) -> None:
        self.rows: list[tuple[bytes, bytes]] = []
        self.fails = False
        self.headers: object = None  # of what was published last
        self.reads = 0

    async def publish(self, partition: Partition, messages: Sequence[Outgoing]) -> asyncio.Future[Receipt]:
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if self.fails:
            receipt.set_exception(PublishFailed("away"))
        else:
            self.headers = messages[-1].headers
            receipt.set_result(self.append(*((message.key or b"", message.value or b"") for message in messages)))
        return receipt

    def append(self, *rows: tuple[bytes, bytes]) -> Receipt:
        first = len(self.rows)
        self.rows += rows
        return Receipt(len(self.rows) - 1, first, len(rows)) if rows else Receipt(-1)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, len(self.rows))

    def read(self, partition: int, begin: int, end: int) -> list[Row]:
        self.reads += 1
        return [FakeRecord(0, key, value) for key, value in self.rows[begin:end]]

    @property
    def compacted(self) -> dict[bytes, bytes]:
        return dict(self.rows)


class FakeRecovery:
    def __init__(self) -> None:
        self.active_offsets: dict[TP, int | None] = {TP(TOPIC, 0): -1}

    def forget(self, number: int) -> None: ...

    def advance(self, changelog: TP, offset: int) -> None:
        self.active_offsets[changelog] = max(offset, self.active_offsets[changelog] or 0)


class Owner:
    """A worker that owns partition 0."""

    def __init__(self, topic: Topic) -> None:
        self.topic, self.recovery, self.owned = topic, FakeRecovery(), OwnedPartition(("clicks", 0))
        self.store, self.partitions = self.owned.rows, [self.owned]
        self.found: list[Any] = []
        self.keeper = ChangelogKeeper(
            TOPIC,
            self.recovery,
            owned=lambda: self.partitions,
            may_publish=self.may_publish,
            found=lambda partition, rows: self.found.extend(rows),
        )

    async def may_publish(self) -> bool:
        return bool(self.partitions)

    def answer(self, *offsets: int) -> None:
        """A batch that changes session `a` at these offsets."""
        for offset in offsets:
            self.store[b"a"] = row(offset)
        self.keeper.confirmed(self.owned, self.topic.append(*((b"a", row(offset)) for offset in offsets)))

    async def turn(self) -> None:
        await self.keeper.look(self.topic)
        await self.keeper.write_again(self.topic)


@pytest.fixture
def owner() -> Owner:
    return Owner(Topic())


def test_keeper_of_rows_of_its_own_reads_and_writes_nothing(owner: Owner) -> None:
    async def run() -> None:
        for offset in range(5):
            owner.answer(offset, offset)
            await owner.turn()
            await owner.turn()

    asyncio.run(run())
    assert owner.topic.reads == 0
    assert len(owner.topic.rows) == 10


def test_keeper_zombies_row_behind_the_owners_is_written_over(owner: Owner) -> None:
    owner.answer(7)
    owner.topic.append((b"a", row(3)))
    asyncio.run(owner.turn())
    assert owner.topic.reads == 0, "rows just written may be our own, not confirmed yet"
    asyncio.run(owner.turn())
    assert owner.topic.compacted == {b"a": row(7)}
    asyncio.run(owner.turn())
    assert len(owner.topic.rows) == 3, "written once"


def test_keeper_zombies_row_behind_an_erase_gets_its_tombstone_again(owner: Owner) -> None:
    owner.answer(7)
    del owner.store[b"a"]
    owner.owned.erased.note(b"a", Mark(8, TS))
    owner.keeper.confirmed(owner.owned, owner.topic.append((b"a", b"")))
    owner.topic.append((b"a", row(3)))
    asyncio.run(owner.turn())
    asyncio.run(owner.turn())
    assert (dict(owner.store), owner.topic.compacted) == ({}, {b"a": b""})
    assert owner.topic.headers == mark_headers(Mark(8, TS))


def test_keeper_zombies_row_between_the_owners_is_found_while_the_owner_goes_on(owner: Owner) -> None:
    owner.store[b"b"] = row(9)
    owner.keeper.confirmed(owner.owned, owner.topic.append((b"b", row(9))))
    owner.topic.append((b"b", row(1)))
    owner.answer(10)
    assert owner.recovery.active_offsets[TP(TOPIC, 0)] == 0, "the table has the changelog up to the gap"

    async def run() -> None:
        for offset in range(11, 14):
            await owner.turn()
            owner.answer(offset)

    asyncio.run(run())
    assert owner.topic.compacted == {b"a": row(13), b"b": row(9)}


def test_keeper_zombies_row_within_a_batch_is_found(owner: Owner) -> None:
    owner.store[b"a"] = row(9)
    first = owner.topic.append((b"c", row(8)))
    owner.topic.append((b"a", row(2)))
    last = owner.topic.append((b"c", row(9)))
    owner.store[b"c"] = row(9)
    owner.keeper.confirmed(owner.owned, Receipt(last.tracked_offset, first.first_tracked, 2))
    asyncio.run(owner.turn())
    asyncio.run(owner.turn())
    assert owner.topic.compacted == {b"a": row(9), b"c": row(9)}


def test_keeper_rows_of_a_newer_owner_are_taken_over_and_not_written_over(owner: Owner) -> None:
    owner.answer(3)
    owner.topic.append((b"a", row(8)))
    asyncio.run(owner.turn())
    asyncio.run(owner.turn())
    assert owner.store == {b"a": row(8)}
    assert owner.topic.compacted == {b"a": row(8)}
    assert len(owner.topic.rows) == 2


def test_keeper_after_recovery_writes_the_rows_that_were_skipped(owner: Owner) -> None:
    owner.topic.append((b"a", row(5)), (b"a", row(4)))
    owner.keeper.restore(owner.owned, owner.topic.read(0, 0, 2), 1)
    asyncio.run(owner.turn())
    assert owner.topic.compacted == {b"a": row(5)}


def test_keeper_broker_away_writes_again_later(owner: Owner) -> None:
    owner.topic.append((b"a", row(5)), (b"a", row(4)))
    owner.keeper.restore(owner.owned, owner.topic.read(0, 0, 2), 1)
    owner.topic.fails = True
    with pytest.raises(PublishFailed):
        asyncio.run(owner.turn())
    owner.topic.fails = False
    asyncio.run(owner.turn())
    assert owner.topic.compacted == {b"a": row(5)}


def test_keeper_row_overtaken_while_it_is_written_is_written_again(owner: Owner) -> None:
    owner.topic.append((b"a", row(5)), (b"a", row(4)))
    owner.keeper.restore(owner.owned, owner.topic.read(0, 0, 2), 1)
    publish = owner.topic.publish

    async def overtaken(partition: Partition, messages: Sequence[Outgoing]) -> asyncio.Future[Receipt]:
        owner.topic.publish = publish  # type: ignore[method-assign]
        owner.answer(6)
        return await publish(partition, messages)

    owner.topic.publish = overtaken  # type: ignore[method-assign]
    asyncio.run(owner.turn())
    assert owner.topic.compacted == {b"a": row(6)}


def test_keeper_partition_lost_writes_nothing(owner: Owner) -> None:
    owner.topic.append((b"a", row(5)), (b"a", row(4)))
    owner.keeper.restore(owner.owned, owner.topic.read(0, 0, 2), 1)
    owner.partitions = []
    asyncio.run(owner.turn())
    assert len(owner.topic.rows) == 2
