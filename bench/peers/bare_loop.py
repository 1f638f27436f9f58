"""The yardstick: consume, rank, produce; sessions in a dict that a crash loses, no changelog.

    python -m bench.peers.bare_loop BOOTSTRAP BUNDLE GROUP

Same contract, ranker, batch limit and producer settings as the worker: what is left is what durable state and Faust
cost. As librdkafka hands out one partition at a time, its batches coalesce as the worker's do.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer

from bench.peers.output import MAX_BATCH, WINDOW, K, list_message
from export.bundle.bundle import load_bundle
from export.ranking.ranker import Ranker, RankerConfig
from stream.kafka.clients import consumer_options, producer_options
from stream.messages.contract import Source, decode_click


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("group")
    parser.add_argument("--threads", type=int, default=0, help="of the graph; 0: one a core")
    parser.add_argument("--clicks", default="clicks", help="topic")
    parser.add_argument("--lists", default="recommendations", help="topic")
    args = parser.parse_args()
    ranker = Ranker(load_bundle(args.bundle), RankerConfig(threads=args.threads))
    committing = {"enable.auto.commit": True, "enable.auto.offset.store": True}
    consumer = Consumer(consumer_options(args.bootstrap, group=args.group) | committing)
    producer = Producer(producer_options(args.bootstrap))
    consumer.subscribe([args.clicks])
    sessions: dict[str, list[str]] = defaultdict(list)
    while True:
        messages = [message for message in consumer.consume(MAX_BATCH, 0.01) if message.error() is None]
        if messages:
            answer(messages, sessions, ranker, producer, args.lists)
        producer.poll(0)


def answer(
    messages: list[Message], sessions: dict[str, list[str]], ranker: Ranker, producer: Producer, topic: str
) -> None:
    """One list for each session of the batch."""
    newest: dict[str, tuple[Message, int]] = {}
    for message in messages:
        click = decode_click(message.value(), message.key(), message.timestamp()[1])
        sessions[click.session_id].append(click.item_id)
        newest[click.session_id] = (message, click.ts)
    lists = ranker.rank_items([sessions[session][-WINDOW:] for session in newest], K)
    for (session, (message, ts)), ranked in zip(newest.items(), lists, strict=True):
        source = Source(message.topic() or "", message.partition() or 0, message.offset() or 0)
        produce(producer, topic, session.encode(), list_message(session, ranked, ranker.version, source, ts))


def produce(producer: Producer, topic: str, key: bytes, value: bytes) -> None:
    """Hand a list over, waiting for room."""
    while True:
        try:
            producer.produce(topic, value, key)
            return
        except BufferError:
            producer.poll(0.005)


if __name__ == "__main__":
    main()
