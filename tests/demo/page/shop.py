"""A shop behind the page whose lists come from a thread that answers like a worker: no training, a second's start."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Consumer, Producer

from demo.broker import FETCH_WAIT_MS, LocalCluster
from demo.config import PageConfig
from demo.hits import HitCounter
from demo.page.page import Page
from demo.shoppers import LiveShoppers
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from demo.system import System
from demo.view import Snapshot
from stream.kafka.clients import assign_all, consumer_options, producer_options
from stream.messages.contract import Recommendation, Source, decode_click, encode, recommended
from stream.topic_names import Topics

__all__ = ["SHOP", "open_shop"]

TOPICS = Topics()
SHOP = Shop(ShopConfig(items=200))
LISTED = 20


class _Answerer(threading.Thread):
    """Answers each click with the items that follow the one clicked."""

    def __init__(self, bootstrap: str, ids: Sequence[str]) -> None:
        super().__init__(daemon=True)
        wait = {"fetch.wait.max.ms": str(FETCH_WAIT_MS)}
        self._consumer = Consumer(consumer_options(bootstrap, wait, group="answerer"))
        self._producer = Producer(producer_options(bootstrap, {"linger.ms": "0"}))
        assert assign_all(self._consumer, TOPICS.clicks, from_beginning=True)
        self._ids, self._places = ids, {item: place for place, item in enumerate(ids)}
        self.halt = threading.Event()

    def run(self) -> None:
        while not self.halt.is_set():
            for message in self._consumer.consume(50, timeout=0.02):
                now = message.timestamp()[1]
                click = decode_click(message.value(), message.key(), now)
                source = Source(TOPICS.clicks, message.partition() or 0, message.offset() or 0)
                place = self._places[click.item_id]
                items = [(self._ids[(place + 1 + n) % len(self._ids)], 5.0 - n / 10) for n in range(LISTED)]
                found = Recommendation(
                    click.session_id, recommended(items), "7", "default", False, source, click.ts, now
                )
                self._producer.produce(TOPICS.recommendations, encode(found), click.session_id.encode())
            self._producer.poll(0)
        self._consumer.close()


@contextmanager
def open_shop(folder: Path, *, clicks_per_s: float = 20.0, port: int = 0) -> Iterator[Page]:
    """The page of a shop that is open, with shoppers in it; its figures are shown twice a second."""
    said: list[str] = []
    page = Page(PageConfig(port=port, open=False), SHOP, say=said.append)
    with page, LocalCluster((TOPICS.clicks, TOPICS.recommendations)) as cluster:
        ids = SHOP.item_ids()
        system = System(cluster.bootstrap, folder / "registry", folder, ids, popular=ids[:LISTED], hits=HitCounter())
        page.stage("broker")
        page.opened(system)
        answerer = _Answerer(cluster.bootstrap, ids)
        answerer.start()
        habits = ShopperConfig(sessions_per_s=clicks_per_s / 5.0, mean_clicks=5.0, think_s=1.0)
        hits = system.hits or HitCounter()
        shoppers = LiveShoppers(cluster.bootstrap, Shoppers(SHOP, habits), system.join, hits, on_list=page.listed)
        page.stage("shopping")
        shoppers.start()
        done = threading.Event()
        shows = threading.Thread(target=_show, args=(page, system, hits, done))
        shows.start()
        try:
            yield page
        finally:
            done.set()
            shows.join()
            shoppers.close()
            answerer.halt.set()
            answerer.join(10)


def _show(page: Page, system: System, hits: HitCounter, done: threading.Event) -> None:
    snapshot = Snapshot(events=("a worker serves; the shoppers come",))
    while not done.wait(0.5):
        page.show(replace(snapshot, figures=system.join.figures(), hits=hits.now()))
