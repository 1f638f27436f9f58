"""Partitions that are taken over: their producers, and who else wants them."""

import asyncio

import pytest

import stream.guarantee.transaction_line
from stream.errors import Fenced, PublishFailed
from stream.guarantee.publisher import Receipt
from tests.stream.guarantee.fake_transactions import Bench, FakeProducer, refusal, scenario
from tests.stream.records import CLICKS

OTHER = ("clicks", 1)


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.guarantee.transaction_line, "Producer", FakeProducer)
    FakeProducer.made = []


def test_take_over_keeps_sound_producers_and_closes_those_of_other_partitions() -> None:
    async def run(bench: Bench) -> None:
        assert await bench.publisher.take_over([CLICKS, OTHER]) == [OTHER]
        assert await bench.publisher.take_over([OTHER]) == []
        assert [one.id for one in FakeProducer.made] == ["shop/clicks/0", "shop/clicks/1"]
        assert await bench.outcome(await bench.publish(b"1")) is Fenced
        assert await bench.outcome(await bench.publish(b"1", partition=OTHER)) == Receipt(-1)
        await bench.publisher.take_over([CLICKS])
        assert [one.id for one in FakeProducer.made] == ["shop/clicks/0", "shop/clicks/1", "shop/clicks/0"]

    scenario(run)


def test_take_over_waits_for_the_transaction_in_work() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().may_commit.clear()
        receipt = await bench.publish(b"1")
        taking = asyncio.create_task(bench.publisher.take_over([CLICKS]))
        await asyncio.sleep(0.05)
        assert not taking.done()
        bench.producer().may_commit.set()
        await taking
        assert await bench.outcome(receipt) == Receipt(-1)

    scenario(run)


@pytest.mark.waits
def test_take_over_waits_for_the_broker_and_raises_where_it_refuses_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [refusal(retriable=True), refusal(retriable=True), refusal()]

    def init(self: FakeProducer, timeout: float) -> None:
        raise failures.pop(0)

    async def run(bench: Bench) -> None:
        monkeypatch.setattr(FakeProducer, "init_transactions", init)
        with pytest.raises(PublishFailed, match="shop/clicks/1"):
            await bench.publisher.take_over([CLICKS, OTHER])
        assert failures == []

    scenario(run)


def test_take_over_goes_on_where_another_worker_took_the_place_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [refusal(fatal=True), refusal(abortable=True)]
    begin = FakeProducer.begin_transaction

    def fail(self: FakeProducer) -> None:
        begin(self)
        if failures:
            raise failures.pop(0)

    async def run(bench: Bench) -> None:
        monkeypatch.setattr(FakeProducer, "begin_transaction", fail)
        await bench.publisher.take_over([CLICKS, OTHER])
        assert [one.id for one in FakeProducer.made] == ["shop/clicks/0", *["shop/clicks/1"] * 3]
        assert await bench.outcome(await bench.publish(b"1", partition=OTHER)) == Receipt(-1)

    scenario(run)


def test_take_over_does_not_try_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(bench: Bench) -> None:
        monkeypatch.setattr(stream.guarantee.transaction_line, "_PAUSE_S", 0.0)
        monkeypatch.setattr(FakeProducer, "begin_transaction", lambda self: self._raise(refusal(fatal=True)))
        with pytest.raises(Fenced):
            await bench.publisher.take_over([CLICKS, OTHER])
        assert len(FakeProducer.made) < 10

    scenario(run)
