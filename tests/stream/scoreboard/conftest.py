"""A cluster with the topics of a shop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.in_process import InProcessBroker
from stream.topic_names import Topics
from tests.stream.scoreboard.shop import Shop


@pytest.fixture
def bootstrap() -> Iterator[str]:
    broker, topics = InProcessBroker(), Topics()
    broker.start()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for topic in (topics.clicks, topics.recommendations, topics.models):
        producer.list_topics(topic, timeout=10)
    yield broker.bootstrap
    broker.close()


@pytest.fixture
def shop(bootstrap: str) -> Shop:
    return Shop(bootstrap)
