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


def test_tail_that_is_roused_reads_on_with_a_new_client_and_one_that_hears_keeps_its_own(cluster: str) -> None:
    storefront = Storefront(cluster)
    storefront.click("a", "item-1")
    storefront.flush()
    tail = Tail(cluster, "clicks")
    tail.expect()
    tail.rouse()
    first = tail._consumer
    assert len(tail.read_to_end()) == 1
    tail._consumer = cast(Consumer, DeafConsumer())
    first.close()
    storefront.click("a", "item-2")
    storefront.flush()
    tail.expect()
    tail.rouse(patience_s=0.0)
    [read] = tail.read_to_end()
    assert b"item-2" in (read.value() or b"")
    tail.close()


def test_click_whose_offset_the_broker_does_not_tell_is_found_in_the_topic(cluster: str) -> None:
    storefront = Storefront(cluster)
    for item in ("item-1", "item-2", "item-2"):
        storefront.click("a", item, ts=1_700_000_000_000)
    storefront.flush()
    known = list(storefront.sent)
    del storefront.sent[1:]
    storefront._unplaced = [(one.click, one.partition) for one in known[1:]]
    storefront.flush()
    assert [one[:3] for one in storefront.sent] == [one[:3] for one in known]  # this cluster tells no times
