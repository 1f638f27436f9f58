"""What the tests of the stream share: librdkafka's in-process cluster, and time for slow machines."""

import itertools
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from bench.rig.brokers.in_process import InProcessBroker

_numbers = itertools.count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of an in-process cluster. It is not Kafka: topics appear when they are first used."""
    broker = InProcessBroker()
    broker.start()
    yield broker.bootstrap
    broker.close()


@pytest.fixture
def topic() -> str:
    """A name that no other test uses."""
    return f"topic-{next(_numbers)}"


@pytest.fixture
def send(cluster: str) -> Callable[[str, list[tuple[bytes, bytes | None]]], None]:
    """A function that sends (key, value) pairs to a topic and returns once they are there."""

    def send_all(topic: str, messages: list[tuple[bytes, bytes | None]]) -> None:
        producer = Producer({"bootstrap.servers": cluster, "message.timeout.ms": 10_000, "log_level": 0})
        for key, value in messages:
            producer.produce(topic, value, key)
        assert producer.flush(10) == 0

    return send_all


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], str], None]:
    """A function that returns once its argument is true, and fails after 10 s."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.01)

    return wait
