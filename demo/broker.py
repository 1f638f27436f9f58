"""The in-process cluster that comes with librdkafka: all the demo needs of Kafka, gone with the process.

It is not Kafka: 4 partitions a topic, the newest few MiB a partition, topics that appear when first asked for. And it
answers a fetch that finds nothing only when the wait is over, even if a record comes meanwhile. So every client
must ask for a short wait (FETCH_WAIT_MS), or its latency is half the wait. It gives one batch of records a
fetch and partition, and looks for it from the beginning of them all: each further reader costs more the longer it runs.
"""

from collections.abc import Iterable

from confluent_kafka import KafkaException, Producer

from demo.errors import DemoError

__all__ = ["FETCH_WAIT_MS", "LocalCluster"]

FETCH_WAIT_MS = 4  # adds 2 ms to the median, and costs a fetch each 4 ms and client
_DEADLINE_S = 10.0  # for a cluster in our own process, far more than it takes


class LocalCluster:
    """One broker on a loopback port, while the block lasts. `bootstrap` is its address."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = tuple(topics)
        self._host: Producer | None = None
        self.bootstrap = ""

    def __enter__(self) -> "LocalCluster":
        """Start it and make its topics; DemoError where the port can't be had."""
        host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = host.list_topics(timeout=_DEADLINE_S).brokers.values()
            self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
            for topic in self._topics:
                host.list_topics(topic, timeout=_DEADLINE_S)  # asking for a topic makes it
        except KafkaException as error:
            raise DemoError(f"the in-process cluster did not start: {error}") from error
        self._host = host
        return self

    def __exit__(self, *_: object) -> None:
        """End it, with all it holds."""
        self._host = None
