"""Overlapping batches: order, what is confirmed, and what a failure leaves undone."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from stream.config import StreamConfig
from stream.errors import PublishFailed
from stream.guarantee.publisher import Outgoing, Publisher, Receipt
from stream.partition.owned import OwnedPartition
from stream.partition.partitions import Partitions
from stream.partition.reading import Partition
from stream.partition.session import decode_state
from stream.path.batcher import Batcher
from stream.path.commit import CommitPath, Experimenting, Prepared
from stream.path.inference import Ranked
from stream.path.lists import ShopLists
from stream.path.pipeline import Pipeline
from stream.path.undecoded import Readable
from tests.stream.records import CLICKS, EchoRanker, NoPosition, click

OTHER = ("clicks", 1)


class SlowPublisher:
    """Leaves the receipts to the test."""

    def __init__(self) -> None:
        self.receipts: list[asyncio.Future[Receipt]] = []
        self.messages: list[Outgoing] = []
        self.withdrawn: list[Partition | None] = []

    async def publish(self, partition: Partition, messages: Sequence[Outgoing]) -> asyncio.Future[Receipt]:
        self.messages += messages
        self.receipts.append(asyncio.get_running_loop().create_future())
        return self.receipts[-1]

    def withdraw(self, partition: Partition | None = None) -> None:
        self.withdrawn.append(partition)


class Silent:
    """An observer that counts."""

    def __init__(self) -> None:
        self.answered = 0

    def prepared(self, prepared: Prepared, seconds: float) -> None: ...
    def ranked(self, prepared: Prepared, ranked: Ranked) -> None: ...
    def confirmed(self, prepared: Prepared, ranked: Ranked, messages: list[Outgoing], seconds: float) -> None:
        self.answered += len(prepared.batch.records)


class Bench:
    """A pipeline on fakes; one click a batch unless the test says more."""

    def __init__(
        self,
        *,
        in_flight: int = 4,
        max_batch: int = 1,
        in_rounds: bool = False,
        plan: Experimenting | None = None,
        readable: Readable | None = None,
    ) -> None:
        config = StreamConfig(bootstrap_servers="nowhere:1", registry="nowhere")
        self.partitions, self.batcher = Partitions("clicks"), Batcher(max_batch=max_batch, max_queued=100)
        self.clicks, self.other = self.partitions.clicks(0), self.partitions.clicks(1)
        self.publisher, self.observer, self.store = SlowPublisher(), Silent(), self.clicks.rows
        self.crashes: list[BaseException] = []
        self.failures: list[tuple[OwnedPartition, PublishFailed]] = []
        self.may_publish = True
        self.pipeline = Pipeline(
            batcher=self.batcher,
            partitions=self.partitions,
            path=CommitPath(config, NoPosition(), ShopLists(config.policy.read(config.k))),
            publisher=cast(Publisher, self.publisher),
            observer=self.observer,
            current_ranker=EchoRanker,
            may_publish=self._may_publish,
            on_confirmed=lambda partition, receipt: None,
            on_unconfirmed=lambda partition, error: self.failures.append((partition, error)),
            batches_in_flight=in_flight,
            in_rounds=in_rounds,
            current_plan=lambda: plan,
            readable=readable,
        )
        self.pipeline.start(self.crashes.append)

    async def _may_publish(self) -> bool:
        return self.may_publish

    async def publish(self, count: int) -> None:
        """Put `count` clicks in, and wait until as many batches as may be are published."""
        self.batcher.put(self.clicks, [click(n, f"s{n}", "1") for n in range(count)])
        await self.published(count)

    async def published(self, count: int) -> None:
        for _ in range(200):
            await asyncio.sleep(0.002)
            if len(self.publisher.receipts) == count:
                return

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0.001)


def scenario(run: Any) -> None:
    asyncio.run(asyncio.wait_for(run(), 20))


def test_batches_confirmed_out_of_order_are_committed_in_order() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.publish(3)
        first, second, third = bench.publisher.receipts
        third.set_result(Receipt(2))
        second.set_result(Receipt(1))
        await bench.settle()
        assert bench.partitions.committable() == {}
        first.set_result(Receipt(0))
        await bench.settle()
        assert bench.partitions.committable() == {CLICKS: 3}
        assert (bench.pipeline.in_flight, bench.observer.answered) == (0, 3)
        await bench.pipeline.stop()

    scenario(run)


def test_a_batch_that_is_not_confirmed_keeps_later_ones_from_being_committed() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.publish(3)
        first, second, third = bench.publisher.receipts
        first.set_result(Receipt(0))
        second.set_exception(PublishFailed("no"))
        third.set_result(Receipt(2))
        await bench.settle()
        assert bench.partitions.committable() == {}
        assert (len(bench.failures), bench.partitions.epoch, bench.observer.answered) == (1, 1, 1)
        assert await bench.pipeline.drained(1)
        await bench.pipeline.stop()

    scenario(run)


def test_a_partition_that_is_given_up_does_not_stop_another() -> None:
    async def run() -> None:
        bench = Bench()
        bench.batcher.put(bench.clicks, [click(0, "a", "1")])
        bench.batcher.put(bench.other, [click(0, "b", "1")])
        await bench.published(2)
        failing, sound = bench.publisher.receipts
        failing.set_exception(PublishFailed("no"))
        await bench.settle()
        sound.set_result(Receipt(0))
        await bench.settle()
        assert bench.partitions.committable() == {OTHER: 1}
        assert [partition.key for partition, _ in bench.failures] == [CLICKS]
        assert bench.publisher.withdrawn == [CLICKS]
        await bench.pipeline.stop()

    scenario(run)


def test_a_partition_is_confirmed_while_an_older_batch_of_another_waits() -> None:
    async def run() -> None:
        bench = Bench()
        bench.batcher.put(bench.clicks, [click(0, "a", "1")])
        bench.batcher.put(bench.other, [click(0, "b", "1")])
        await bench.published(2)
        bench.publisher.receipts[1].set_result(Receipt(0))
        await bench.settle()
        assert bench.partitions.committable() == {OTHER: 1}
        await bench.pipeline.stop()

    scenario(run)


def test_rows_of_batches_that_are_given_up_are_put_back_newest_batch_first() -> None:
    async def run() -> None:
        bench = Bench()
        bench.batcher.put(bench.clicks, [click(n, "a", str(n)) for n in range(3)])
        await bench.published(3)
        bench.publisher.receipts[0].set_result(Receipt(0))
        await bench.settle()
        state = decode_state(bench.store[b"a"])
        assert state.items == ("0", "1", "2")
        bench.publisher.receipts[1].set_exception(PublishFailed("no"))
        await bench.settle()
        assert decode_state(bench.store[b"a"]).items == ("0",)
        bench.batcher.put(bench.clicks, [click(n, "a", str(n)) for n in (1, 2)])
        await bench.published(5)
        assert decode_state(bench.store[b"a"]) == state
        await bench.pipeline.stop()

    scenario(run)


def test_rows_are_put_back_when_all_partitions_are_given_up() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.publish(2)
        bench.pipeline.give_up_all()
        assert (dict(bench.store), bench.publisher.withdrawn, bench.partitions.epoch) == ({}, [None], 1)
        for receipt in bench.publisher.receipts:
            receipt.set_result(Receipt(0))
        await bench.settle()
        assert (bench.partitions.committable(), bench.pipeline.in_flight) == ({}, 0)
        await bench.pipeline.stop()

    scenario(run)


def test_clicks_that_wait_behind_a_failed_batch_are_not_begun_in_the_new_epoch() -> None:
    async def run() -> None:
        bench = Bench(in_flight=1)
        await bench.publish(1)
        bench.batcher.put(bench.clicks, [click(n, f"s{n}", "1") for n in range(1, 8)])
        bench.publisher.receipts[0].set_exception(PublishFailed("no"))
        for _ in range(20):
            await bench.settle()
        assert len(bench.publisher.receipts) == 1, "they come again after the failed one, when the seek is made"
        assert (bench.batcher.queued, bench.pipeline.in_flight, bench.partitions.committable()) == (0, 0, {})
        await bench.pipeline.stop()

    scenario(run)


def test_batches_in_flight_are_bounded() -> None:
    async def run() -> None:
        bench = Bench(in_flight=2)
        await bench.publish(10)
        assert len(bench.publisher.receipts) == 2
        assert not await bench.pipeline.drained(0.01)
        bench.publisher.receipts[0].set_result(Receipt(0))
        await asyncio.sleep(0.1)
        assert len(bench.publisher.receipts) == 3
        await bench.pipeline.stop()

    scenario(run)


def test_clicks_that_come_while_the_broker_is_slow_gather_into_one_batch() -> None:
    async def run() -> None:
        bench = Bench(in_flight=2, max_batch=100)
        for number in range(12):  # each alone, as under light traffic
            bench.batcher.put(bench.clicks, [click(number, f"s{number}", "1")])
            await bench.settle()
        assert (len(bench.publisher.receipts), bench.batcher.queued) == (2, 10), "the others are not begun"
        bench.publisher.receipts[0].set_result(Receipt(0))
        await bench.published(3)
        assert (bench.batcher.queued, bench.pipeline.in_flight) == (0, 2)
        for receipt in bench.publisher.receipts[1:]:
            receipt.set_result(Receipt(0))
        await bench.settle()
        assert bench.observer.answered == 12
        await bench.pipeline.stop()

    scenario(run)


def test_in_rounds_clicks_of_all_partitions_gather_until_every_batch_of_the_last_round_is_over() -> None:
    async def run() -> None:
        bench = Bench(max_batch=100, in_rounds=True)
        bench.batcher.put(bench.clicks, [click(0, "a", "1")])
        bench.batcher.put(bench.other, [click(0, "b", "1")])
        await bench.published(2)
        for number in (1, 2):
            bench.batcher.put(bench.clicks, [click(number, "a", "1")])
            bench.batcher.put(bench.other, [click(number, "b", "1")])
        bench.publisher.receipts[0].set_result(Receipt(0))
        await bench.settle()
        assert (len(bench.publisher.receipts), bench.batcher.queued) == (2, 4), "the other one is not over"
        bench.publisher.receipts[1].set_result(Receipt(0))
        await bench.published(4)
        assert (bench.batcher.queued, bench.pipeline.in_flight) == (0, 2), "a batch of two clicks of each"
        await bench.pipeline.stop()

    scenario(run)


def test_a_partition_whose_batches_are_not_confirmed_does_not_keep_others_from_being_answered() -> None:
    async def run() -> None:
        bench = Bench(in_flight=2)
        await bench.publish(10)
        bench.batcher.put(bench.other, [click(0, "other", "1")])
        await bench.published(3)
        bench.publisher.receipts[2].set_result(Receipt(0))
        await bench.settle()
        assert bench.partitions.committable() == {OTHER: 1}
        await bench.pipeline.stop()

    scenario(run)


def test_nobody_waits_for_batches_of_a_pipeline_that_has_crashed() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.publish(2)
        bench.publisher.receipts[0].set_exception(RuntimeError("no rule covers this"))
        await bench.settle()
        assert [type(error) for error in bench.crashes] == [RuntimeError]
        assert not await asyncio.wait_for(bench.pipeline.drained(60), 1)
        await bench.pipeline.stop()

    scenario(run)


def test_batches_of_an_earlier_epoch_are_neither_published_nor_confirmed() -> None:
    async def run() -> None:
        bench = Bench(in_flight=1)
        await bench.publish(3)
        bench.pipeline.give_up_all()
        bench.publisher.receipts[0].set_result(Receipt(0))
        await asyncio.sleep(0.05)
        assert bench.partitions.committable() == {}
        assert len(bench.publisher.receipts) == 1 + bench.batcher.queued
        await bench.pipeline.stop()

    scenario(run)


def test_a_worker_that_may_not_publish_gives_its_batches_up() -> None:
    async def run() -> None:
        bench = Bench()
        bench.may_publish = False
        await bench.publish(2)
        assert (bench.publisher.receipts, bench.partitions.committable()) == ([], {})
        assert bench.partitions.epoch >= 1
        await bench.pipeline.stop()

    scenario(run)


def test_a_failing_step_crashes_the_worker_and_confirms_nothing() -> None:
    async def run() -> None:
        bench = Bench()
        bench.store[b"s0"] = b"garbage"
        await bench.publish(2)
        assert [type(error).__name__ for error in bench.crashes] == ["BadState"]
        assert bench.partitions.committable() == {}
        await bench.pipeline.stop()

    scenario(run)
