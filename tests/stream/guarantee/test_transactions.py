"""Batches in transactions: one producer a partition, on a fake librdkafka, and on the in-process cluster."""

import asyncio
import gc
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

import stream.guarantee.transaction_line
from stream.errors import Fenced, PublishFailed
from stream.guarantee.publisher import KEPT_BYTES, TRUNCATED, Outgoing, Receipt
from stream.guarantee.transactions import TransactionalPublisher, transactional_id
from stream.kafka.clients import transactional_options
from tests.stream.guarantee.fake_transactions import Bench, Counts, FakeProducer, refusal, scenario
from tests.stream.records import CLICKS

OTHER = ("clicks", 1)


@pytest.fixture(autouse=True)
def _fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "cluster" not in request.fixturenames:
        monkeypatch.setattr(stream.guarantee.transaction_line, "Producer", FakeProducer)
        FakeProducer.made = []


def test_a_batch_is_one_transaction_and_its_receipt_has_the_offset_of_its_last_tracked_message() -> None:
    async def run(bench: Bench) -> None:
        receipt = await bench.publish(b"1", b"2", tracked=True)
        assert await bench.outcome(receipt) == Receipt(2)
        assert await bench.outcome(await bench.publish(b"3")) == Receipt(-1)
        assert bench.producer().committed == [[b"1", b"2"], [b"3"]]
        assert bench.producer().calls == ["init", "opening", "begin", "commit", "begin", "commit"]
        assert bench.counts == {"committed": 2}

    scenario(run)


def test_batches_that_come_while_a_transaction_commits_share_the_next_one() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().may_commit.clear()
        receipts = [await bench.publish(b"0")]
        while "begin" not in bench.producer().calls:
            await asyncio.sleep(0.001)
        receipts += [await bench.publish(value, tracked=True) for value in (b"1", b"2", b"3")]
        bench.producer().may_commit.set()
        assert [await bench.outcome(receipt) for receipt in receipts] == [Receipt(-1), *[Receipt(13)] * 3]
        assert bench.producer().committed == [[b"0"], [b"1", b"2", b"3"]]

    scenario(run)


def test_batches_of_a_worker_that_ends_fail_without_a_traceback_where_nobody_waits_for_them() -> None:
    said: list[Any] = []

    async def run(bench: Bench) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        bench.producer().may_commit.clear()
        await bench.publish(b"0")
        while "begin" not in bench.producer().calls:
            await asyncio.sleep(0.001)
        await bench.publish(b"1")
        closing = asyncio.get_running_loop().run_in_executor(None, bench.publisher.close, 5)
        await asyncio.sleep(0.05)
        bench.producer().may_commit.set()
        await closing
        await asyncio.sleep(0.05)
        gc.collect()
        assert said == []

    scenario(run)


@pytest.mark.slow
def test_a_transaction_begins_a_moment_after_the_last_one_and_takes_what_came_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream.guarantee.transaction_line, "_REST_S", 1.0)

    async def run(bench: Bench) -> None:
        await bench.outcome(await bench.publish(b"0"))
        receipts = []
        for value in (b"1", b"2"):
            receipts.append(await bench.publish(value))
            await asyncio.sleep(0.05)
        for receipt in receipts:
            await bench.outcome(receipt)
        assert bench.producer().committed == [[b"0"], [b"1", b"2"]]

    scenario(run)


@pytest.mark.parametrize(("commit_s", "rest_s"), [(0.001, 0.005), (0.008, 0.008), (2.0, 0.012)])
def test_the_rest_is_as_long_as_the_commit_took_within_bounds(commit_s: float, rest_s: float) -> None:
    assert stream.guarantee.transaction_line._rest_s(commit_s) == rest_s


def test_a_message_too_large_whose_second_try_fails_is_cut_from_the_start_once_the_partition_is_taken_over() -> None:
    async def run(bench: Bench) -> None:
        large = b"x" * 30_000
        producer = bench.producer()
        producer.too_large = {large}
        producer.failures["commit"] = [refusal(abortable=True)]  # after the one for its size
        assert await bench.outcome(await bench.publish(large, shrinkable=True)) is PublishFailed
        bench.publisher.withdraw()
        await bench.publisher.take_over([CLICKS])
        assert await bench.outcome(await bench.publish(large, b"1", shrinkable=True)) == Receipt(-1)
        assert await bench.outcome(await bench.publish(large, shrinkable=True)) == Receipt(-1)
        sizes = [[len(value or b"") for value in batch] for batch in bench.producer().committed]
        assert sizes == [[KEPT_BYTES, 1], [30_000]]

    scenario(run)


def test_batches_behind_a_transaction_of_a_partition_that_is_taken_away_are_refused() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().may_commit.clear()
        receipts = [await bench.publish(b"0")]
        while "begin" not in bench.producer().calls:
            await asyncio.sleep(0.001)
        receipts += [await bench.publish(value) for value in (b"1", b"2")]
        await bench.publisher.take_over([])
        bench.producer().may_commit.set()
        assert [await bench.outcome(receipt) for receipt in receipts] == [Receipt(-1), PublishFailed, PublishFailed]
        assert bench.producer().committed == [[b"0"]]

    scenario(run)


def test_partitions_do_not_wait_for_each_other() -> None:
    async def run(bench: Bench) -> None:
        await bench.publisher.take_over([CLICKS, OTHER])
        slow = next(one for one in FakeProducer.made if one.id == transactional_id("shop", CLICKS))
        slow.may_commit.clear()
        waiting = await bench.publish(b"1")
        assert await bench.outcome(await bench.publish(b"2", partition=OTHER)) == Receipt(-1)
        assert not waiting.done()
        slow.may_commit.set()
        await bench.outcome(waiting)

    scenario(run)


@pytest.mark.waits
def test_a_commit_that_times_out_is_called_again() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().failures["commit"] = [refusal(retriable=True)] * 2
        assert await bench.outcome(await bench.publish(b"1")) == Receipt(-1)
        assert bench.producer().calls == ["init", "opening", "begin", "commit", "commit", "commit"]
        assert bench.counts == {"committed": 1}

    scenario(run)


@pytest.mark.parametrize("step", ["commit", "abort"])
def test_a_producer_that_waits_while_the_broker_answers_others_gives_its_place_to_a_new_one(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(stream.guarantee.transaction_line, "_STUCK_S", 0.05)
    monkeypatch.setattr(TransactionalPublisher, "_answers_soon", lambda _: True)

    async def run(bench: Bench) -> None:
        stuck = bench.producer()
        stuck.failures = {"produce": [refusal(abortable=True)]} if step == "abort" else {}
        stuck.failures[step] = [refusal(retriable=True)] * 1_000_000
        assert await bench.outcome(await bench.publish(b"1")) is Fenced, "nobody knows what became of it"
        assert stuck.calls.count(step) > 2
        bench.publisher.withdraw(CLICKS)
        assert await bench.publisher.take_over([CLICKS]) == [CLICKS]
        assert await bench.outcome(await bench.publish(b"1")) == Receipt(-1)
        assert [one.committed for one in FakeProducer.made] == [[], [[b"1"]]]
        assert bench.counts == {"fenced": 1, "committed": 1}

    scenario(run)


@pytest.mark.waits
def test_a_producer_of_a_broker_that_is_away_waits_and_has_its_time_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream.guarantee.transaction_line, "_STUCK_S", 0.3)
    asked: list[bool] = []

    def answers(_: TransactionalPublisher) -> bool:
        asked.append(len(asked) >= 40)
        time.sleep(0.02)
        return asked[-1]

    monkeypatch.setattr(TransactionalPublisher, "_answers_soon", answers)

    async def run(bench: Bench) -> None:
        bench.producer().failures["commit"] = [refusal(retriable=True)] * 45
        assert await bench.outcome(await bench.publish(b"1")) == Receipt(-1)
        assert asked[-1], "it was away for longer than a producer may wait"
        assert len(FakeProducer.made) == 1

    scenario(run)


@pytest.mark.parametrize("step", ["produce", "commit"])
def test_a_failed_transaction_is_aborted_and_so_is_all_that_was_handed_over_behind_it(step: str) -> None:
    async def run(bench: Bench) -> None:
        producer = bench.producer()
        producer.failures = {step: [refusal(abortable=True)], "abort": [refusal(retriable=True)]}
        assert await bench.outcome(await bench.publish(b"1")) is PublishFailed
        assert await bench.outcome(await bench.publish(b"2")) is PublishFailed, "it builds on the first"
        assert producer.committed == []
        assert producer.calls.count("abort") == 2
        bench.publisher.withdraw(CLICKS)
        assert await bench.publisher.take_over([CLICKS]) == [CLICKS], "what was known before is not trusted"
        assert await bench.outcome(await bench.publish(b"1")) == Receipt(-1)
        assert [one.committed for one in FakeProducer.made] == [[], [[b"1"]]]
        assert bench.counts == {"aborted": 1, "committed": 1}

    scenario(run)


def test_batches_that_were_withdrawn_before_their_transaction_began_are_not_published() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().may_commit.clear()
        begun = await bench.publish(b"0")
        while "begin" not in bench.producer().calls:
            await asyncio.sleep(0.001)
        waiting = await bench.publish(b"1")
        bench.publisher.withdraw()
        fresh = await bench.publish(b"2")
        bench.producer().may_commit.set()
        assert [await bench.outcome(one) for one in (begun, waiting, fresh)] == [
            Receipt(-1), PublishFailed, Receipt(-1),
        ]  # fmt: skip
        assert bench.producer().committed == [[b"0"], [b"2"]]

    scenario(run)


@pytest.mark.parametrize("step", ["begin", "commit"])
def test_a_fenced_producer_is_replaced_when_the_partition_is_taken_over_anew_and_not_before(step: str) -> None:
    async def run(bench: Bench) -> None:
        bench.producer().failures = {step: [refusal(fatal=True)]}
        assert await bench.outcome(await bench.publish(b"1")) is Fenced
        bench.publisher.withdraw()
        assert await bench.outcome(await bench.publish(b"1")) is Fenced
        assert len(FakeProducer.made) == 1
        bench.publisher.withdraw()
        await bench.publisher.take_over([CLICKS])
        assert await bench.outcome(await bench.publish(b"1")) == Receipt(-1)
        assert [one.committed for one in FakeProducer.made] == [[], [[b"1"]]]
        assert bench.counts == {"fenced": 2, "committed": 1}

    scenario(run)


def test_a_transaction_that_can_neither_be_committed_nor_aborted_counts_as_fenced() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().failures = {"commit": [refusal(abortable=True)], "abort": [refusal()]}
        assert await bench.outcome(await bench.publish(b"1")) is Fenced

    scenario(run)


def test_a_full_queue_is_waited_for() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().failures = {"produce": [BufferError(), BufferError()]}
        assert await bench.outcome(await bench.publish(b"1", b"2")) == Receipt(-1)
        assert bench.producer().committed == [[b"1", b"2"]]
        assert bench.producer().calls.count("poll") == 2

    scenario(run)


@pytest.mark.parametrize("large", [b"x" * 20_000, b"x" * 60_000])  # the broker refuses one, librdkafka the other
def test_a_rejected_message_that_is_too_large_is_cut_and_its_batch_committed_once(large: bytes) -> None:
    async def run(bench: Bench) -> None:
        bench.producer().too_large = {large}
        receipt = await bench.publish(b"1", large, shrinkable=True)
        assert await bench.outcome(receipt) == Receipt(-1)
        assert bench.producer().committed == [[b"1", b"x" * 16 * 1024]]
        assert bench.counts == {"committed": 1}

    scenario(run)


def test_an_error_that_no_rule_covers_reaches_the_caller() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().failures = {"produce": [TypeError("a bug")]}
        receipt = await bench.publish(b"1")
        with pytest.raises(TypeError, match="a bug"):
            await asyncio.wait_for(receipt, 10)

    scenario(run)


@pytest.mark.waits
def test_close_does_not_wait_for_a_broker_that_is_away() -> None:
    async def run(bench: Bench) -> None:
        bench.producer().failures = {"commit": [refusal(retriable=True)] * 1_000_000, "abort": [refusal()]}
        receipt = await bench.publish(b"1")
        while "commit" not in bench.producer().calls:
            await asyncio.sleep(0.001)
        assert bench.publisher.close(5) == 0
        assert await bench.outcome(receipt) is Fenced

    scenario(run)


def test_transactional_ids_of_groups_and_topics_never_meet() -> None:
    groups_and_topics = [("a", "b-c"), ("a-b", "c"), ("a/b", "c"), ("a", "b.c")]
    names = {transactional_id(group, (topic, 0)) for group, topic in groups_and_topics}
    assert len(names) == len(groups_and_topics)
    assert all(transactional_id(group, (topic, 0)).startswith(group) for group, topic in groups_and_topics)


def test_publish_on_a_cluster_arrives_with_its_offsets_and_headers(cluster: str, topic: str) -> None:
    async def run() -> list[Receipt]:
        publisher = TransactionalPublisher(transactional_options(cluster), "shop", topic, Counts())
        await publisher.take_over([CLICKS])
        large = Outgoing(topic, b"k", b"x" * 3_000_000, [("reason", b"r")], 1, shrinkable=True)
        tracked = [Outgoing(topic, b"k", b"%d" % n, None, 2, True) for n in range(3)]
        receipts = [await publisher.publish(CLICKS, messages) for messages in (tracked, [*tracked, large])]
        found = [await asyncio.wait_for(receipt, 30) for receipt in receipts]
        assert publisher.broker_answers()
        assert publisher.close(5) == 0
        return found

    assert asyncio.run(run())[1].tracked_offset == 5
    consumer = Consumer({"bootstrap.servers": cluster, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 1, 0)])
    (message,) = consumer.consume(1, 10)
    assert message.headers() == [("reason", b"r"), (TRUNCATED, b"3000000")]
    consumer.close()


@pytest.mark.slow
def test_broker_answers_says_no_without_one() -> None:
    async def run() -> bool:
        return await asyncio.to_thread(Bench().publisher.broker_answers)

    assert not asyncio.run(run())
