"""What an operator does to the topics of a running cluster, rightly or wrongly."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from bench.rig.brokers.process import wait_for

__all__ = ["COMPACTED", "Operator"]

COMPACTED = {"cleanup.policy": "compact"}
_ANSWER_S = 15.0


class Operator:
    """Each call returns once the cluster shows what it did."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin: Any = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 10_000, "log_level": 0})

    def partitions(self, name: str) -> int:
        """How many a topic has; 0 while there is none."""
        found = self._admin.list_topics(timeout=10).topics
        return len(found[name].partitions) if name in found else 0

    def delete(self, *names: str) -> None:
        """Delete topics with all that is in them."""
        for future in self._admin.delete_topics(list(names), operation_timeout=10).values():
            future.result(_ANSWER_S)
        wait_for(f"{names} to be gone", lambda: not any(map(self.partitions, names)))

    def committed(self, group: str, topic: str) -> dict[int, tuple[int, int]]:
        """By partition the offset that a group has committed, 0 without one, and the one behind the newest message.

        Asked by a client of its own: an admin client that has seen its brokers go away may answer no more.
        """
        asking = {"bootstrap.servers": self._bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0}
        consumer = Consumer(asking)
        try:
            numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            found = consumer.committed([TopicPartition(topic, number) for number in numbers], timeout=10)
            ends = {one.partition: consumer.get_watermark_offsets(one, timeout=10) for one in found}
        finally:
            consumer.close()
        return {one.partition: (max(one.offset, 0), (ends[one.partition] or (0, 0))[1]) for one in found}

    def make(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Make a topic, `config` by the broker's names."""

        def made() -> bool:
            with contextlib.suppress(KafkaException):  # while the old one is being deleted
                topic = NewTopic(name, partitions, 1, config=dict(config or {}))
                self._admin.create_topics([topic])[name].result(_ANSWER_S)
            return self.partitions(name) == partitions

        wait_for(f"{name} to be there", made)

    def remake(self, name: str, config: Mapping[str, str] | None = None) -> None:
        """Delete a topic and make it again with as many partitions."""
        partitions = self.partitions(name)
        self.delete(name)
        self.make(name, partitions, config)

    def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions."""
        self._admin.create_partitions([NewPartitions(name, partitions)])[name].result(_ANSWER_S)
        wait_for(f"{name} to have {partitions} partitions", lambda: self.partitions(name) == partitions)

    def remove(self, name: str, below: Mapping[int, int]) -> None:
        """Delete the records below an offset of each partition, as retention does."""
        asked = [TopicPartition(name, number, offset) for number, offset in below.items()]
        for future in self._admin.delete_records(asked).values():
            future.result(_ANSWER_S)

    def configure(self, name: str, key: str, value: str) -> None:
        """Change one setting of a topic."""
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(_ANSWER_S)
