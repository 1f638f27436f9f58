"""Kafka's classes as the JVM has them in memory: a broker that finds them starts with half the processor time.

`python -m bench.rig.brokers.archive` makes the archive beside the jars, from what a broker loads that is used for a
moment. Brokers work without one, and with one of another JVM, which is not read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from confluent_kafka import Consumer, Producer

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.jars import kafka_archive, kafka_jars
from bench.rig.brokers.jvm import JvmBroker
from stream.kafka.topics import create_topics
from stream.topic_names import Topics

__all__ = ["make_archive"]

_DUMP_S = 120.0  # for the JVM to write it when it ends


def make_archive() -> Path:
    """Make the archive unless it is there; its path. BrokerMissing without Java or the jars."""
    path = kafka_archive(kafka_jars())
    if path.exists():
        return path
    staged = path.with_suffix(f".{os.getpid()}")
    broker = JvmBroker(flags=(f"-XX:ArchiveClassesAtExit={staged}",))
    broker.start()
    try:
        _use(broker.bootstrap)
        broker.stop(grace_s=_DUMP_S)
        staged.rename(path)
    finally:
        broker.close()
    return path


def _use(bootstrap: str) -> None:
    """A transaction, and a group that reads it."""
    clicks = Topics().clicks
    create_topics(bootstrap, partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "archive"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(clicks, b"1")
    producer.commit_transaction(60)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "archive", "auto.offset.reset": "earliest"})
    consumer.subscribe([clicks])
    consumer.poll(60)
    consumer.close()


if __name__ == "__main__":
    try:
        print(make_archive())
    except BrokerMissing as missing:
        sys.exit(str(missing))
