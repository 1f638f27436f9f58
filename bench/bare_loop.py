"""The yardstick: consume, rank, produce; sessions in a dict that a crash loses, no changelog.

Same contract, same Ranker, same batch limit as the worker: what is left is what durable state and Faust cost.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Message, Producer

from export.bundle import load_bundle
from export.ranker import Ranker, RankerConfig
from stream.contract import Recommendation, RecommendedItem, Source, decode_click

MAX_BATCH = 1_024
K = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    ranker = Ranker(load_bundle(args.bundle), RankerConfig(threads=args.threads))
    consumer = Consumer(
        {
            "bootstrap.servers": args.bootstrap,
            "group.id": f"bare-{time.time_ns()}",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 5,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": args.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 2,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    consumer.subscribe(["clicks"])
    sessions: dict[str, list[str]] = defaultdict(list)
    while True:
        messages = [m for m in consumer.consume(MAX_BATCH, 0.01) if m.error() is None]
        if messages:
            _answer(messages, sessions, ranker, producer)
        producer.poll(0)


def _answer(messages: list[Message], sessions: dict[str, list[str]], ranker: Ranker, producer: Producer) -> None:
    newest: dict[str, tuple[Message, int]] = {}
    for message in messages:
        click = decode_click(message.value(), message.key(), message.timestamp()[1])
        sessions[click.session_id].append(click.item_id)
        newest[click.session_id] = (message, click.ts)
    lists = ranker.rank_items([sessions[s][-50:] for s in newest], K)
    for (session, (message, ts)), ranked in zip(newest.items(), lists, strict=True):
        producer.produce(
            "recommendations",
            msgspec.json.encode(
                Recommendation(
                    session_id=session,
                    items=[RecommendedItem(item, score) for item, score in ranked.items],
                    model=ranker.version,
                    variant="default",
                    fallback=ranked.fallback,
                    source=Source(message.topic(), message.partition(), message.offset()),
                    event_ts=ts,
                    published_ts=int(time.time() * 1000),
                )
            ),
            session.encode(),
        )
        producer.poll(0)


if __name__ == "__main__":
    main()
