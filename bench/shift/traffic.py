"""Live clicks of a simulated shop, sent when they are due.

Times are ms from the first click that is sent, until they are sent: then they are of the clock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message

from bench.data.clicks import Click
from bench.measure.load import encode_click, make_producer
from demo.click_log import session_id
from demo.simulated.simulator import Shoppers

_BEFORE_MS = 30_000  # shoppers have been there for so long when the first click is sent: the rate is steady at once
_NAP_S = 0.005
_DELIVERY_S = 60.0


def live_clicks(shoppers: Shoppers, seconds: float) -> list[Click]:
    """The clicks from 0 to `seconds`, by their time."""
    names, found = shoppers.later.item_ids(), list[Click]()
    end_ms = seconds * 1_000
    for log in shoppers.live(-_BEFORE_MS):
        for number, item, ts in zip(log.session.tolist(), log.item.tolist(), log.ts.tolist(), strict=True):
            if ts >= end_ms:
                return found
            if ts >= 0:
                found.append((session_id(number), names[item], ts))
    raise AssertionError("live shoppers never end")


def send_live(bootstrap: str, topic: str, clicks: Sequence[Click], start_ms: int) -> float:
    """Send each click when it is due, a late one at once; seconds by which the latest was late.

    `start_ms` is the moment of time 0, ms since the epoch. RuntimeError where a click was not delivered.
    """
    producer, failures, late_s = make_producer(bootstrap), list[str](), 0.0

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    for session, item, ts in clicks:
        due = (start_ms + ts) / 1_000
        while (left := due - time.time()) > 0:
            producer.poll(0)
            time.sleep(min(left, _NAP_S))
        late_s = max(late_s, -left)
        key, value = encode_click((session, item, start_ms + ts))
        producer.produce(topic, value, key, on_delivery=delivered)
    if producer.flush(_DELIVERY_S) or failures:
        raise RuntimeError(f"clicks were not delivered: {failures[:3] or 'no answer of the broker'}")
    return late_s
