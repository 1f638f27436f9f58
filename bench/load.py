"""Sends clicks: a backlog as fast as it goes, or an open loop at a fixed rate (a late answer delays no click)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import Message, Producer

Click = tuple[str, str, int]  # session id, item id, ts (ms)
Sent = list[tuple[str, int, int, float]]  # session id, partition, offset, perf_counter when due (s)

_encode = msgspec.json.Encoder().encode


def make_producer(bootstrap: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 2,
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "message.timeout.ms": 60_000,
        }
    )


def send(bootstrap: str, clicks: Sequence[Click], *, rate: float = 0.0, topic: str = "clicks") -> Sent:
    """Send all clicks, at `rate` a second (0: at once), wait for the broker, return where each one landed."""
    producer, sent = make_producer(bootstrap), []
    start = time.perf_counter()
    for number, (session, item, ts) in enumerate(clicks):
        due = start + number / rate if rate else start
        while (wait := due - time.perf_counter()) > 0:
            producer.poll(min(wait, 0.001))

        def delivered(error: object, message: Message, session: str = session, due: float = due) -> None:
            if error is not None:
                raise RuntimeError(f"a click of session {session} was not delivered: {error}")
            sent.append((session, message.partition(), message.offset(), due))

        value = _encode({"session_id": session, "item_id": item, "ts": ts})
        while True:
            try:
                producer.produce(topic, value, session.encode(), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    producer.flush(60)
    if len(sent) != len(clicks):
        raise RuntimeError(f"{len(clicks) - len(sent)} of {len(clicks)} clicks were not delivered within 60 s")
    return sent
