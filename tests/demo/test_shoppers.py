"""Live shoppers on the in-process cluster, answered by a small worker of the test's own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, Producer

from demo.broker import FETCH_WAIT_MS, LocalCluster
from demo.errors import DemoError
from demo.hits import HitCounter
from demo.join import ClickJoin
from demo.shoppers import LiveShoppers
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from stream.kafka.clients import assign_all, consumer_options, producer_options
from stream.messages.contract import Click, Recommendation, Source, decode_click, encode, recommended
from stream.topic_names import Topics

TOPICS = Topics()
SHOP = Shop(ShopConfig(items=60, categories=4))


class Answerer(threading.Thread):
    """Answers each click with the item clicked; keeps what it has read. Groups `coalesce` messages of one session."""

    def __init__(self, bootstrap: str, coalesce: int) -> None:
        super().__init__(daemon=True)
        wait = {"fetch.wait.max.ms": str(FETCH_WAIT_MS)}
        self._consumer = Consumer(consumer_options(bootstrap, wait, group="answerer"))
        self._producer = Producer(producer_options(bootstrap, {"linger.ms": "0"}))
        assert assign_all(self._consumer, TOPICS.clicks, from_beginning=True)
        self._coalesce = coalesce
        self.clicks: list[Click] = []
        self.halt = threading.Event()

    def run(self) -> None:
        while not self.halt.is_set():
            newest: dict[str, tuple[Click, Source]] = {}
            for message in self._consumer.consume(self._coalesce, timeout=0.02):
                click = decode_click(message.value(), message.key(), message.timestamp()[1])
                self.clicks.append(click)
                newest[click.session_id] = click, Source(TOPICS.clicks, message.partition() or 0, message.offset() or 0)
            for session, (click, source) in newest.items():
                found = Recommendation(
                    session, recommended([(click.item_id, 1.0)]), "7", "default", False, source, click.ts, 0
                )
                self._producer.produce(TOPICS.recommendations, encode(found), session.encode())
            self._producer.poll(0)
        self._consumer.close()


@contextmanager
def answerer(bootstrap: str, coalesce: int = 1) -> Iterator[Answerer]:
    thread = Answerer(bootstrap, coalesce)
    thread.start()
    yield thread
    thread.halt.set()
    thread.join(10)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster((TOPICS.clicks, TOPICS.recommendations)) as found:
        yield found


def live(bootstrap: str, join: ClickJoin, hits: HitCounter | None = None) -> LiveShoppers:
    habits = ShopperConfig(sessions_per_s=40.0, mean_clicks=5.0, think_s=0.2)
    return LiveShoppers(bootstrap, Shoppers(SHOP, habits), join, hits or HitCounter())


@pytest.mark.slow
@pytest.mark.parametrize("coalesce", [1, 50])
def test_every_click_is_sent_and_answered(cluster: LocalCluster, coalesce: int) -> None:
    join, hits = ClickJoin(), HitCounter()
    with answerer(cluster.bootstrap, coalesce) as worker:
        shoppers = live(cluster.bootstrap, join, hits)
        shoppers.start()
        time.sleep(1.5)
        left = shoppers.drain(10.0)
        shoppers.close()
    shoppers.check()
    figures = join.figures()
    assert left == 0
    assert figures.clicks == figures.answered == len(worker.clicks) > 100
    assert figures.models == ("7",)
    assert hits.now().by_model.keys() == {"7"}
    assert hits.now().model is not None
    assert figures.p50_ms is not None
    assert 0.0 < figures.p50_ms < 1_000.0


def test_clicks_carry_the_present_and_known_items(cluster: LocalCluster) -> None:
    with answerer(cluster.bootstrap) as worker:
        shoppers = live(cluster.bootstrap, ClickJoin())
        shoppers.start()
        time.sleep(0.5)
        shoppers.drain(10.0)
        shoppers.close()
    now_ms = time.time() * 1000.0
    assert all(now_ms - 60_000 < click.ts <= now_ms for click in worker.clicks)
    assert {click.item_id for click in worker.clicks} <= set(SHOP.item_ids())


def test_drain_without_answers_says_how_many_are_missing(cluster: LocalCluster) -> None:
    join = ClickJoin()
    shoppers = live(cluster.bootstrap, join)
    shoppers.start()
    time.sleep(0.3)
    left = shoppers.drain(0.2)
    shoppers.close()
    assert left == join.pending == join.figures().clicks > 0


@pytest.mark.slow
def test_check_reports_a_message_that_is_no_recommendation(cluster: LocalCluster) -> None:
    shoppers = live(cluster.bootstrap, ClickJoin())
    shoppers.start()
    producer = Producer(producer_options(cluster.bootstrap))
    producer.produce(TOPICS.recommendations, b"{", b"s")
    producer.flush(5)
    time.sleep(1.0)
    with pytest.raises(DemoError, match="can't be read"):
        shoppers.check()
    shoppers.close()


def test_close_before_start_leaves_nothing_open(cluster: LocalCluster) -> None:
    shoppers = live(cluster.bootstrap, ClickJoin())
    shoppers.close()
    assert shoppers.seconds == 0.0


def test_cluster_makes_the_topics_asked_for(cluster: LocalCluster) -> None:
    topics = Producer({"bootstrap.servers": cluster.bootstrap}).list_topics(timeout=5).topics
    assert {TOPICS.clicks, TOPICS.recommendations} <= topics.keys()
    assert TOPICS.models not in topics
