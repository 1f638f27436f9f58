"""The producer's side, against the in-process cluster."""

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from stream.errors import PublishFailed
from stream.guarantee.publisher import (
    DROPPED_HEADERS,
    KEPT_BYTES,
    TRUNCATED,
    TRUNCATED_KEY,
    IdempotentPublisher,
    Outgoing,
    Receipt,
    shrink,
)
from stream.kafka.clients import producer_options
from tests.stream.records import CLICKS

PARTITIONS = 4  # of every topic of the in-process cluster


def read(cluster: str, topic: str, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": cluster, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    messages: list[Message] = []
    while len(messages) < count:
        found = consumer.consume(count - len(messages), 5)
        assert found, f"only {len(messages)} of {count} messages"
        messages += found
    consumer.close()
    return messages


async def published(publisher: IdempotentPublisher, messages: list[Outgoing]) -> Receipt:
    return await asyncio.wait_for(await publisher.publish(CLICKS, messages), 10)


@pytest.fixture
def publisher(cluster: str) -> IdempotentPublisher:
    return IdempotentPublisher(producer_options(cluster))


def test_publish_returns_the_highest_offset_of_tracked_messages(
    publisher: IdempotentPublisher, cluster: str, topic: str
) -> None:
    tracked = [Outgoing(topic, b"k", str(n).encode(), None, 2, True) for n in range(3)]
    other = Outgoing(topic, b"k", b"x", [("h", b"1")], 1)
    assert asyncio.run(published(publisher, [*tracked, other])) == Receipt(2, first_tracked=0, tracked=3)
    messages = read(cluster, topic, 4)
    assert [m.value() for m in messages if m.partition() == 2] == [b"0", b"1", b"2"]
    assert [m.headers() for m in messages if m.partition() == 1] == [[("h", b"1")]]
    assert publisher.close(5) == 0


def test_publish_of_nothing_is_confirmed_at_once(publisher: IdempotentPublisher) -> None:
    assert asyncio.run(published(publisher, [])) == Receipt(-1)


def test_publish_of_a_message_too_large_to_copy_cuts_it_and_says_so(cluster: str, topic: str) -> None:
    publisher = IdempotentPublisher({**producer_options(cluster), "message.max.bytes": 20_000})
    message = Outgoing(topic, b"k", b"x" * 50_000, [("reason", b"too_large")], shrinkable=True)
    asyncio.run(published(publisher, [message]))
    (found,) = read(cluster, topic, 1)
    assert len(found.value() or b"") == 16 * 1024
    assert found.headers() == [("reason", b"too_large"), (TRUNCATED, b"50000")]


def test_shrink_cuts_whatever_of_a_message_is_large_and_keeps_the_reason() -> None:
    sender, ours = [("big", b"x" * 20_000), ("null", None)], [("reason", b"not_json")]
    found = shrink(Outgoing("t", b"k" * 1_000_000, None, [*sender, *ours], shrinkable=True))
    assert found.key == b"k" * KEPT_BYTES
    assert found.headers == [
        ("null", None),
        ("reason", b"not_json"),
        (TRUNCATED, b"0"),
        (TRUNCATED_KEY, b"1000000"),
        (DROPPED_HEADERS, b"1"),
    ]


def test_publish_of_another_message_too_large_is_refused(cluster: str, topic: str) -> None:
    publisher = IdempotentPublisher({**producer_options(cluster), "message.max.bytes": 20_000})
    with pytest.raises(PublishFailed):
        asyncio.run(published(publisher, [Outgoing(topic, b"k", b"x" * 50_000)]))


@pytest.mark.slow
def test_publish_without_a_broker_fails_within_the_deadline() -> None:
    publisher = IdempotentPublisher(producer_options("127.0.0.1:1", delivery_timeout_s=0.3))
    with pytest.raises(PublishFailed):
        asyncio.run(published(publisher, [Outgoing("any", b"k", b"v")]))
    assert not publisher.broker_answers()


def test_publish_into_a_full_queue_waits_for_room(cluster: str, topic: str) -> None:
    publisher = IdempotentPublisher({**producer_options(cluster), "queue.buffering.max.messages": 10})
    asyncio.run(published(publisher, [Outgoing(topic, b"k", b"v") for _ in range(200)]))
    assert len(read(cluster, topic, 200)) == 200


def test_broker_answers_while_there_is_one(
    publisher: IdempotentPublisher, eventually: Callable[[Callable[[], bool], str], None]
) -> None:
    eventually(publisher.broker_answers, "an answer")
