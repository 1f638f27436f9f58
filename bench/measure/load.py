"""Sends clicks: a backlog as fast as it goes, or an open loop at a fixed rate (a late answer delays no click)."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from bench.data.clicks import Click

Place = tuple[bytes, int, int]  # key, partition, offset
Sent = list[tuple[str, int, int, float]]  # session id, partition, offset, time.monotonic() when due (s)

_TICK_S = 0.0005  # the loop wakes up no oftener: what is due is sent then, and its lateness counts as latency
_DELIVERY_S = 60.0

_encode = msgspec.json.Encoder().encode


def make_producer(bootstrap: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 0.5,  # of the latency that is measured; a storefront that wants quick lists waits no longer
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "message.timeout.ms": int(_DELIVERY_S * 1_000),
        }
    )


def encode_click(click: Click) -> tuple[bytes, bytes]:
    """Key and value of the click's message."""
    session, item, ts = click
    return session.encode(), _encode({"session_id": session, "item_id": item, "ts": ts})


def send(bootstrap: str, clicks: Sequence[Click], *, rate: float = 0.0, topic: str = "clicks") -> Sent:
    """Send all clicks, at `rate` a second (0: at once), wait for the broker, return where each one landed.

    RuntimeError where a click was not delivered. Messages are encoded before the first is due.
    """
    messages = [encode_click(click) for click in clicks]
    producer, places = make_producer(bootstrap), list[Place]()

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise RuntimeError(f"a click was not delivered: {error}")
        places.append((message.key() or b"", message.partition() or 0, message.offset() or 0))

    start = time.monotonic()
    for number, (key, value) in enumerate(messages):
        if rate:
            _wait_until(start + number / rate, producer)
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush(_DELIVERY_S)
    if len(places) != len(clicks):
        raise RuntimeError(f"{len(clicks) - len(places)} of {len(clicks)} clicks were not delivered")
    return matched(clicks, places, (start + number / rate if rate else start for number in range(len(clicks))))


def matched(clicks: Sequence[Click], places: Iterable[Place], due: Iterable[float]) -> Sent:
    """Where each click landed. Delivery reports of one key come in the order in which its clicks were sent."""
    of_key: dict[bytes, deque[tuple[int, int]]] = defaultdict(deque)
    for key, partition, offset in places:
        of_key[key].append((partition, offset))
    return [(session, *of_key[session.encode()].popleft(), at) for (session, _, _), at in zip(clicks, due, strict=True)]


def _wait_until(due: float, producer: Producer) -> None:
    """Sleep, never spin: the cores belong to what is measured."""
    if due <= time.monotonic():
        return
    producer.poll(0)
    while (wait := due - time.monotonic()) > 0:
        time.sleep(max(wait, _TICK_S))
