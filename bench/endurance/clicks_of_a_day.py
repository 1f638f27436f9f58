"""A day of a busy shop on the topics: clicks, and the list that a worker would have published for each of them.

Times are of the day that ends now, in records as well as in messages; what they say of order and pauses is what a
trainer and a scoreboard go by, so that a day passes in minutes. Sessions are halved between two variants.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Producer

from demo.click_log import session_id
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers
from demo.simulated.stock import ShopConfig
from stream.messages.contract import encode, recommended

__all__ = ["DAY_S", "VARIANTS", "Day", "send_day"]

DAY_S = 23.5 * 3600  # the lists of a day ago are removed by retention
VARIANTS = ("control", "challenger")
_K = 20
_BEHIND = (0, 12)  # places below the most popular of a category where the list of each variant begins
_MEAN_CLICKS = 4.0  # of a session
_ANSWERED_MS = 15


@dataclass(frozen=True, slots=True)
class Day:
    """What is sent."""

    clicks: int
    items: int
    partitions: int
    begin_ms: int

    def messages(self) -> Iterator[tuple[int, bytes, bytes, bytes, int]]:
        """Partition, key, click, its list, and the time of the click (ms), in the order of time. An offset of a click
        is the number of clicks of its partition before it."""
        shop = Shop(ShopConfig(items=self.items))
        names = [name.encode() for name in shop.item_ids()]
        lists = [_lists(shop, begin) for begin in _BEHIND]  # by variant and category
        category = shop.category.tolist()
        rate = self.clicks / _MEAN_CLICKS / DAY_S
        shoppers = Shoppers(shop, ShopperConfig(sessions_per_s=rate, mean_clicks=_MEAN_CLICKS))
        offsets, left = [0] * self.partitions, self.clicks
        for part in shoppers.live(self.begin_ms, slice_ms=60_000):
            sessions, items, times = (column[:left].tolist() for column in part)
            left -= len(times)
            for number, item, ts in zip(sessions, items, times, strict=True):
                partition, key, variant = number % self.partitions, session_id(number).encode(), number // 7 % 2
                offset, offsets[partition] = offsets[partition], offsets[partition] + 1
                click = b'{"session_id":"%s","item_id":"%s","ts":%d}' % (key, names[item], ts)
                answer = (
                    b'{"session_id":"%s","items":%s,"model":"%d","variant":"%s","fallback":false,"source":{"topic":'
                    b'"clicks","partition":%d,"offset":%d},"event_ts":%d,"published_ts":%d,"experiment":"day"}'
                ) % (
                    key,
                    lists[variant][category[item]],
                    variant + 1,
                    VARIANTS[variant].encode(),
                    partition,
                    offset,
                    ts,
                    ts + _ANSWERED_MS,
                )
                yield partition, key, click, answer, ts
            if not left:
                return


def _lists(shop: Shop, begin: int) -> list[bytes]:
    """For each category its most popular items from a place on, as a message has them."""
    names, found = shop.item_ids(), []
    for category in range(shop.config.categories):
        own = np.flatnonzero(shop.category == category)
        best = own[np.argsort(-shop.stock.weight[own], kind="stable")][begin : begin + _K].tolist()
        found.append(encode(recommended((names[item], round(float(shop.stock.weight[item]), 9)) for item in best)))
    return found


def send_day(bootstrap: str, day: Day) -> float:
    """Send it, as fast as it goes; how many seconds that took. RuntimeError where the broker does not confirm it."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "compression.type": "lz4",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 200_000,
        }
    )
    begun = time.monotonic()
    for number, (partition, key, click, answer, ts) in enumerate(day.messages()):
        for topic, value in (("clicks", click), ("recommendations", answer)):
            while True:
                try:
                    producer.produce(topic, value, key, partition, timestamp=ts)
                    break
                except BufferError:
                    producer.poll(0.05)
        if number % 1_000 == 0:
            producer.poll(0)
    if producer.flush(300):
        raise RuntimeError("the broker did not confirm the day's messages")
    return time.monotonic() - begun
