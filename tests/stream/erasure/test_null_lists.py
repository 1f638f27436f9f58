"""Who reads recommendations takes a record without value, of an erased session, for no list and for no fault."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Message, Producer

from bench.harness.check import Checker
from bench.rig.brokers.in_process import InProcessBroker
from bench.rig.clients import Lists
from bench.shift.judge import look_back
from demo.hits import HitCounter
from demo.join import ClickJoin
from demo.shoppers import LiveShoppers
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from stream.kafka.watch import watch
from stream.messages.contract import Click, Erase, Recommendation, Source, encode, recommended
from stream.messages.erasures import ErasedLists, erased_headers
from stream.partition.session import encode_state, fold_click
from stream.topic_names import Topics
from tests.stream.records import TS, EchoRanker

SAID = ErasedLists(Source("clicks", 0, 1), 1)
TOPICS = Topics()


def a_list(offset: int, item: str) -> bytes:
    listed = recommended([(item, 1.0)])
    return encode(Recommendation("s", listed, "7", "default", False, Source("clicks", 0, offset), TS, TS + 1))


@pytest.fixture
def bootstrap() -> Iterator[str]:
    """A session of one click that is erased, and clicks once more; its lists, and what takes the first one back."""
    broker = InProcessBroker()
    broker.start()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for topic in (TOPICS.clicks, TOPICS.recommendations, TOPICS.rejected, "changelog"):
        producer.list_topics(topic, timeout=10)
    last = Click("s", "b", TS)
    for event in (Click("s", "a", TS), Erase("s", TS), last):
        producer.produce(TOPICS.clicks, encode(event), b"s", partition=0, timestamp=TS)
    producer.produce(TOPICS.recommendations, a_list(0, "a"), b"s", partition=0)
    producer.produce(TOPICS.recommendations, None, b"s", partition=0, headers=erased_headers(SAID))
    producer.produce(TOPICS.recommendations, None, b"s", partition=0)  # somebody else's, which says nothing
    producer.produce(TOPICS.recommendations, a_list(2, "b"), b"s", partition=0)
    for row in (encode_state(fold_click(None, Click("s", "a", TS), 0)), None, encode_state(fold_click(None, last, 2))):
        producer.produce("changelog", row, b"s", partition=0)
    assert producer.flush(10) == 0
    yield broker.bootstrap
    broker.close()


def test_watch_shows_the_lists_and_warns_of_nothing(bootstrap: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = list(watch(bootstrap, topics=TOPICS, from_beginning=True, limit=2, idle_s=20.0))
    assert [one.source.offset for one in found] == [0, 2]
    assert caplog.records == []


def test_lists_of_the_rig_forget_the_one_that_was_taken_back(bootstrap: str) -> None:
    lists = Lists(bootstrap)
    while len(lists.all) < 2:
        lists.poll()
    assert (lists.last["s"].source.offset, list(lists.erased)) == (2, ["s"])
    lists.close()


def test_checker_of_the_faults_finds_nothing_wrong(bootstrap: str) -> None:
    checker = Checker(bootstrap, "changelog", {"7": cast(Any, EchoRanker())}, exactly_once=False)
    for _ in range(100):  # a row may come later than the clicks
        checker.read()
        if checker._rows.get((0, "s")) is not None:
            break
    checker.check_sessions(everything=True)
    assert (checker.unanswered(), checker.clicks, checker.lists, checker.wrong) == (0, 2, 2, [])
    checker.close()


def test_judge_of_an_arm_reads_over_it(bootstrap: str) -> None:
    assert look_back(bootstrap, TOPICS, TS, {"a", "b"}).listed == {"a": 0.001, "b": 0.001}


def test_demo_takes_no_notice(bootstrap: str) -> None:
    hits, join = HitCounter(), ClickJoin()
    shoppers = LiveShoppers(bootstrap, Shoppers(Shop(ShopConfig(items=60, categories=4)), ShopperConfig()), join, hits)
    shoppers._take(cast(Message, SimpleNamespace(value=lambda: None, key=lambda: b"s")), 0.0)
    assert join.figures().answered == 0
