"""Readers of the rig read everything once, whatever becomes of their client."""

from collections.abc import Iterator
from typing import cast

import pytest
from confluent_kafka import Consumer, Message

from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.clients import Storefront, Tail


@pytest.fixture
def cluster() -> Iterator[str]:
    broker = InProcessBroker()
    broker.start()
    yield broker.bootstrap
    broker.close()


class DeafConsumer:
    """A client that knows of no leader any more."""

    closed = False

    def consume(self, _number: int, _timeout_s: float) -> list[Message]:
        return []

    def close(self) -> None:
        self.closed = True


def test_tail_whose_client_hears_nothing_any_more_goes_on_with_a_new_one_where_it_was(cluster: str) -> None:
    storefront = Storefront(cluster)
    storefront.click("a", "item-1")
    storefront.flush()
    tail = Tail(cluster, "clicks")
    assert len(tail.read_to_end()) == 1
    storefront.click("a", "item-2")
    storefront.flush()
    deaf = DeafConsumer()
    tail._consumer.close()
    tail._consumer = cast(Consumer, deaf)
    [read] = tail.read_to_end(patience_s=0.2)
    assert b"item-2" in (read.value() or b"")
    assert deaf.closed
    tail.close()
