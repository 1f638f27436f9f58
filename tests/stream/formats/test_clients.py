"""Kafka's clients with formats, on librdkafka's in-process cluster: readers see JSON, whatever lies there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from bench.rig.clients import read_topic
from bench.rig.schema_registry import RegistryServer
from stream.formats.away import reading_waits
from stream.formats.config import format_options
from stream.formats.values import values_of
from stream.kafka.clients import assign_all, build_client, consumer_options, producer_options
from stream.messages.contract import Click, decode_event, encode
from tests.stream.formats.conftest import LIST, NOW, VIEW, framed

CLICK = encode(Click("s", "i", NOW))
CONTENT = {"session_id": "s", "item_id": "i", "ts": NOW}
Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]


@pytest.fixture
def options(schemas: RegistryServer, topic: str) -> dict[str, str]:
    """Client options, of clicks on `topic`."""
    return format_options(
        {},
        registry=schemas.url,
        click_format="avro",
        list_format="avro",
        clicks=topic,
        lists=f"{topic}-lists",
    )


def read(consumer: Consumer, number: int, take: Callable[[Consumer], list[Message]]) -> list[bytes | None]:
    found: list[Message] = []
    end = time.monotonic() + 20
    while len(found) < number:
        assert time.monotonic() < end, f"{len(found)} of {number}"
        found += take(consumer)
    return [one.value() for one in found]


def position(consumer: Consumer, topic: str) -> int:
    """How far all partitions are read."""
    places = consumer.position([TopicPartition(topic, number) for number in range(4)])
    return sum(max(place.offset, 0) for place in places)


def polled(consumer: Consumer) -> list[Message]:
    message = consumer.poll(0.2)
    return [] if message is None else [message]


def consumed(consumer: Consumer) -> list[Message]:
    return list(consumer.consume(10, 0.2))


def reader(cluster: str, topic: str, options: dict[str, str]) -> Consumer:
    consumer: Consumer = build_client(Consumer, consumer_options(cluster, options))
    assert assign_all(consumer, topic, from_beginning=True)
    return consumer


@pytest.mark.parametrize("take", [polled, consumed])
def test_readers_see_json_in_order_whatever_lies_there(
    cluster: str, topic: str, send: Send, options: dict[str, str], schemas: RegistryServer, take: Any
) -> None:
    number = schemas.add(VIEW)
    bad = b"\0\0\0\0\x63abc"
    values = [framed(number, VIEW, CONTENT), CLICK, None, bad, framed(number, VIEW, {**CONTENT, "item_id": "j"})]
    send(topic, [(b"s", value) for value in values])
    consumer = reader(cluster, topic, options)
    found = read(consumer, 5, take)
    assert found[1:4] == [CLICK, None, bad]
    assert [decode_event(found[place], b"s", NOW) for place in (0, 4)] == [Click("s", "i", NOW), Click("s", "j", NOW)]
    consumer.close()


@pytest.mark.parametrize("take", [polled, consumed])
def test_readers_wait_for_a_registry_that_is_away_and_lose_nothing(
    cluster: str, topic: str, send: Send, options: dict[str, str], schemas: RegistryServer, take: Any
) -> None:
    number = schemas.add(VIEW)
    send(topic, [(b"s", CLICK), (b"s", framed(number, VIEW, CONTENT)), (b"s", CLICK)])
    schemas.away = True
    consumer = reader(cluster, topic, options)
    assert read(consumer, 1, take) == [CLICK]
    assert [message for _ in range(3) for message in take(consumer)] == []
    assert position(consumer, topic) == 1
    assert f"{topic} is read no further for want of schema {number}" in reading_waits(), "for /health"
    schemas.away = False
    assert [decode_event(one, b"s", NOW) for one in read(consumer, 2, take)] == [Click("s", "i", NOW)] * 2
    assert topic not in reading_waits()
    consumer.close()


def test_writers_write_the_format_of_the_topic_and_json_to_all_others(
    cluster: str, topic: str, options: dict[str, str], schemas: RegistryServer
) -> None:
    producer: Producer = build_client(Producer, producer_options(cluster, options))
    for name, value in ((topic, CLICK), (f"{topic}-lists", encode(LIST)), (f"{topic}-other", CLICK)):
        producer.produce(name, value, b"s")
        producer.produce(name, None, b"s")
    assert producer.flush(10) == 0
    clicks, lists, others = ([one.value() for one in read_topic(cluster, f"{topic}{end}")] for end in ENDS)
    assert others == [CLICK, None]
    assert [one and one[:1] for one in (*clicks, *lists)] == [b"\0", None, b"\0", None]
    assert set(schemas.subjects) == {f"{topic}-value", f"{topic}-lists-value"}


ENDS = ("", "-lists", "-other")


def test_what_cannot_be_written_fails_as_a_message_that_kafka_refuses(
    cluster: str, topic: str, options: dict[str, str], schemas: RegistryServer
) -> None:
    producer: Producer = build_client(Producer, producer_options(cluster, options))
    schemas.away = True
    with pytest.raises(KafkaException, match="schema registry"):
        producer.produce(topic, CLICK, b"s")
    schemas.away = False
    with pytest.raises(KafkaException, match="does not fit the schema"):
        producer.produce(topic, b'{"session_id": 1.5}', b"s")
    producer.produce(topic, CLICK, b"s")
    assert producer.flush(10) == 0


@pytest.fixture(autouse=True)
def _anew() -> None:
    values_of.cache_clear()
