"""One repair at a time, of the kind that the guarantee asks for; and what each guarantee makes of positions."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stream.errors import PublishFailed
from stream.guarantee.at_least_once import AtLeastOnce
from stream.guarantee.exactly_once import ExactlyOnce
from stream.guarantee.guarantee import Group, Guarantee
from stream.guarantee.publisher import Publisher, Receipt
from stream.guarantee.repair import Repairs
from stream.partition.changelog import ChangelogReader
from stream.partition.positions import POSITION_KEY
from tests.stream.records import FakeRecord, partition


class FakeGroup:
    """Notes what is asked of the consumer; a repair lasts until it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done = asyncio.Event()
        self.consumer = SimpleNamespace(rewind=lambda: self.repair("rewind"), rejoin=lambda: self.repair("rejoin"))
        self.advanced: list[tuple[int, int]] = []
        self.forgotten: list[int] = []
        self.recovery = SimpleNamespace(
            active_offsets={},
            advance=lambda tp, offset: self.advanced.append((tp.partition, offset)),
            forget=self.forgotten.append,
        )
        self.may_publish = self.recovered = None
        self.gained: list[Any] = []

    async def repair(self, kind: str) -> None:
        self.asked.append(kind)
        await self.done.wait()

    async def take_over(self, partitions: Any) -> Any:
        return self.gained


def guarantee(kind: str, group: FakeGroup) -> Guarantee:
    publisher, reader = cast(Publisher, group), cast(ChangelogReader, None)
    if kind == "exactly-once":
        return ExactlyOnce(publisher, "log", cast(Group, group))
    return AtLeastOnce(publisher, "log", cast(Group, group), new_reader=lambda: reader, found=lambda *_: None)


BOTH = pytest.mark.parametrize("kind", ["at-least-once", "exactly-once"])


@BOTH
def test_repairs_run_one_at_a_time_and_none_once_the_worker_ends(kind: str) -> None:
    async def run() -> None:
        group, ended = FakeGroup(), False
        crashes: list[BaseException] = []
        ours = guarantee(kind, group)
        repairs = Repairs(ours, crash=crashes.append, has_ended=lambda: ended)
        expected = "rejoin" if kind == "exactly-once" else "rewind"
        for _ in range(3):
            repairs.unconfirmed(partition(), PublishFailed("no"))
            await asyncio.sleep(0)
        assert group.asked == [expected]
        assert (ours.trouble is not None) == (kind == "exactly-once")
        group.done.set()
        await asyncio.sleep(0.01)
        repairs.unconfirmed(partition(), PublishFailed("no"))
        await asyncio.sleep(0.01)
        assert group.asked == [expected] * 2
        ended = True
        repairs.unconfirmed(partition(), PublishFailed("no"))
        await asyncio.sleep(0.01)
        assert len(group.asked) == 2

    asyncio.run(run())


@BOTH
@pytest.mark.parametrize(
    ("answered", "committed", "starts"),
    [(0, None, (None, None)), (0, 4, (4, 4)), (7, None, (7, 7)), (7, 4, (7, 7)), (4, 7, (7, 4))],
)
def test_start_of_is_the_exact_position_or_what_is_further(
    kind: str, answered: int, committed: int | None, starts: tuple[int | None, int | None]
) -> None:
    async def run() -> None:
        of = partition()
        of.recovered(answered)
        assert guarantee(kind, FakeGroup()).start_of(of, committed) == starts[kind == "exactly-once"]

    asyncio.run(run())


def test_exactly_once_trusts_nothing_of_a_partition_that_a_new_producer_took_over() -> None:
    async def run() -> None:
        group, of = FakeGroup(), partition({b"a": b"row"})
        of.recovered(5)
        ours = guarantee("exactly-once", group)
        ours.failed(PublishFailed("no"))
        await ours.take_over([of])
        assert (dict(of.rows), of.answered, group.forgotten, ours.trouble) == ({b"a": b"row"}, 5, [], None)
        group.gained = [of.key]
        await ours.take_over([of])
        assert (dict(of.rows), of.answered, group.forgotten) == ({}, 0, [0])

    asyncio.run(run())


@BOTH
def test_restore_of_a_position_row_is_what_the_guarantee_makes_of_it(kind: str) -> None:
    async def run() -> None:
        group, of = FakeGroup(), partition()
        ours = guarantee(kind, group)
        assert ours.restore(of, [FakeRecord(8, POSITION_KEY, b"41")]) == []
        exact = kind == "exactly-once"
        assert (of.answered, of.old_position, group.advanced) == (41 * exact, not exact, [(0, 8)])
        ours.confirmed(of, Receipt(9, 9, 1))
        assert (of.old_position, group.advanced[-1]) == (False, (0, 9))
        ours.restore(of, [FakeRecord(10, POSITION_KEY, None)])
        assert (of.answered, of.old_position) == (0, False)

    asyncio.run(run())
