"""A batch whose clicks have no known schema yet waits, and nothing but its partition with it."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from stream.guarantee.publisher import Receipt
from stream.partition.reading import Record
from stream.path import starts
from tests.stream.path.test_pipeline import OTHER, Bench, scenario
from tests.stream.records import click


class Schemas:
    """Clicks of one session have a schema that is not known yet."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def __call__(self, records: Sequence[Record]) -> Awaitable[object] | None:
        return None if self.told.is_set() or all(record.key != b"unknown" for record in records) else self.told.wait()


@pytest.mark.parametrize("in_rounds", [False, True], ids=["overlapping", "in rounds"])
def test_a_batch_that_waits_for_a_schema_holds_up_its_own_partition_alone(
    in_rounds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        schemas = Schemas()
        bench = Bench(readable=schemas, in_rounds=in_rounds)
        bench.batcher.put(bench.clicks, [click(0, "unknown", "1"), click(1, "s", "2")])
        await bench.settle()
        bench.batcher.put(bench.other, [click(0, "s", "1")])
        await bench.published(1)
        bench.publisher.receipts[0].set_result(Receipt(0))
        await bench.settle()
        assert bench.partitions.committable() == {OTHER: 1}
        assert await bench.pipeline.drained(1), "nothing is decided by waiting for the registry"
        schemas.told.set()
        for count in (2, 3):
            await bench.published(count)
            if in_rounds:
                bench.publisher.receipts[count - 1].set_result(Receipt(count))
        assert len(bench.publisher.receipts) == 3, "and in order, once it is known"
        await bench.pipeline.stop()

    monkeypatch.setattr(starts, "_PATIENCE_S", 0.005)
    scenario(run)


def test_a_batch_that_waits_for_a_schema_is_over_when_its_partition_is_given_up() -> None:
    async def run() -> None:
        schemas = Schemas()
        bench = Bench(readable=schemas)
        bench.batcher.put(bench.clicks, [click(0, "unknown", "1")])
        await bench.settle()
        bench.pipeline.give_up_all()
        assert (bench.pipeline.in_flight, bench.clicks.begun) == (0, 0)
        schemas.told.set()
        await bench.publish(1)
        assert len(bench.publisher.receipts) == 1, "what is read again"
        await bench.pipeline.stop()

    scenario(run)
