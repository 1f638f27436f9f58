"""The broker of a benchmark, and where its topics stand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from confluent_kafka import Consumer, TopicPartition

from bench.rig.brokers.base import Broker
from bench.rig.brokers.choose import choose_broker
from bench.rig.brokers.containers import ContainerBroker
from bench.rig.brokers.jvm import JvmBroker
from stream.kafka.clients import consumer_options

PARTITIONS = 4
_ANSWER_S = 20.0
_BROKERS: dict[str, Callable[[], Broker]] = {"jvm": partial(JvmBroker, lasting=True), "testcontainers": ContainerBroker}


@contextmanager
def broker(bootstrap: str | None) -> Iterator[str]:
    """The cluster asked for, or a real one of the tests' own for the length of the block."""
    if bootstrap:
        yield bootstrap
        return
    choice = choose_broker(os.environ, _BROKERS)
    if choice.broker is None or not choice.broker.real:
        raise SystemExit("no real broker to be had: " + "; ".join(choice.missing))
    try:
        yield choice.broker.bootstrap
    finally:
        choice.broker.close()


class TopicEnds:
    """The ends of a topic's partitions, asked for at little cost to the machine that is measured."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(consumer_options(bootstrap, group="bench-ends"))
        self._topic = topic
        self._partitions = list(self._consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions)

    def now(self) -> dict[int, int]:
        """The next offset of each partition."""
        return {number: self._end(number) for number in self._partitions}

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _end(self, number: int) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=_ANSWER_S)[1])


def ends(bootstrap: str, topic: str) -> dict[int, int]:
    """The next offset of each partition, now."""
    asked = TopicEnds(bootstrap, topic)
    try:
        return asked.now()
    finally:
        asked.close()


def skip_backlog(bootstrap: str, group: str, topic: str = "clicks") -> None:
    """Commit the topic's end for a group that has no members yet: it starts with what comes from now on."""
    committer = Consumer(consumer_options(bootstrap, group=group))
    offsets = [TopicPartition(topic, number, end) for number, end in ends(bootstrap, topic).items()]
    committer.commit(offsets=offsets, asynchronous=False)
    committer.close()
