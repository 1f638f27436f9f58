"""The in-process cluster that comes with librdkafka. It is not Kafka: one worker a group, 4 partitions, no deletion."""

from __future__ import annotations

from confluent_kafka import Producer

from bench.rig.brokers.base import Broker

__all__ = ["InProcessBroker"]


class InProcessBroker(Broker):
    """For tests that need one worker only. Cleaning it starts another cluster, at another address."""

    real = False
    restartable = False
    label = "librdkafka's in-process cluster (not Kafka: tests of rebalances and restarts are skipped)"

    def __init__(self) -> None:
        self._cluster: Producer | None = None
        self.bootstrap = ""

    def start(self) -> None:
        """Start a cluster of one broker."""
        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        brokers = self._cluster.list_topics(timeout=10).brokers.values()
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def stop(self) -> None:
        """End it, with all it holds."""
        self._cluster = None

    def clean(self) -> None:
        """Start another one."""
        self.stop()
        self.start()
