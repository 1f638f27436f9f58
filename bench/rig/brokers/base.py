"""What every broker of the tests can do, and the settings of the real ones."""

from __future__ import annotations

import abc
import contextlib
import math
import time
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.rig.brokers.process import DeadlineExceeded, wait_for

__all__ = [
    "KAFKA_VERSION",
    "Broker",
    "BrokerMissing",
    "as_environment",
    "kafka_settings",
    "wait_until_answering",
]

KAFKA_VERSION = "4.3.0"  # as in kafka/pom.xml; a test compares them
_DELETED_S = 2.5  # well above file.delete.delay.ms


class BrokerMissing(Exception):
    """This machine can't run this kind of broker; the message says what is missing and how to get it."""


class Broker(abc.ABC):
    """One Kafka cluster for one run of the tests."""

    label: str  # what it is, for the summary
    real: bool  # Apache Kafka: groups rebalance, topics are made on request
    restartable: bool  # the tests started it and may stop it
    bootstrap: str  # host:port
    _cleaned_at = -math.inf  # time.monotonic()

    @abc.abstractmethod
    def start(self) -> None:
        """Start it and return when it answers; after `stop` with its data and address, while it runs without effect."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop it and keep its data."""

    def kill(self) -> None:
        """End it without a goodbye; it keeps what it wrote. BrokerMissing where the tests cannot do that to it."""
        raise BrokerMissing(f"{self.label} cannot be killed")

    def pause(self) -> None:
        """Freeze it: connections stay, nothing answers. BrokerMissing where the tests cannot do that to it."""
        raise BrokerMissing(f"{self.label} cannot be paused")

    def resume(self) -> None:
        """Let it go on after `pause`."""
        raise BrokerMissing(f"{self.label} cannot be paused")

    def rest(self) -> None:
        """Nobody needs it until the next `start`. It runs where that costs less than another start."""
        self.start()

    def close(self) -> None:
        """Stop it and remove what it wrote."""
        self.stop()

    def clean(self) -> None:
        """Remove every topic, so that a test finds an empty cluster."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "socket.timeout.ms": 10_000})
        topics = self._removable(_topic_names(admin))
        if topics:
            for future in admin.delete_topics(topics, operation_timeout=10).values():
                with contextlib.suppress(KafkaException):
                    future.result(15)
            wait_for("deleted topics to be gone", lambda: not set(topics) & set(_topic_names(admin)))
            self._cleaned_at = time.monotonic()

    def await_deletions(self) -> None:
        """Return when the files of deleted topics are gone, too. A broker that is stopped before may trip over what is
        left of them when it comes back, and end."""
        time.sleep(max(self._cleaned_at + _DELETED_S - time.monotonic(), 0.0))

    def _removable(self, topics: list[str]) -> list[str]:
        return topics


def _topic_names(admin: AdminClient) -> list[str]:
    return [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]


def wait_until_answering(bootstrap: str, deadline_s: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Return when the cluster lists its topics; DeadlineExceeded, or sooner when `alive` says its process has ended."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 2000, "log_level": 0})

    def answers() -> bool:
        if not alive():
            raise DeadlineExceeded(f"the broker at {bootstrap} ended while it was starting")
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    wait_for(f"a broker to answer at {bootstrap}", answers, deadline_s)


def kafka_settings(*, listen: str, advertise: str, controller: str, data: str) -> dict[str, str]:
    """Return the properties of a KRaft cluster of one node, without authentication, tuned to start and rebalance soon.

    listen, advertise, controller: host:port; data: a directory of the broker's own.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{listen},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{advertise}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",  # a topic nobody made is an error we want to see
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "4000",  # a broker that was killed comes back once its old life has timed out
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "log.cleaner.dedupe.buffer.size": "16777216",  # of the 512 MB of heap, 128 MB by default
        "file.delete.delay.ms": "1000",  # each test deletes its topics
    }


def as_environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the settings as the variables that the image apache/kafka reads: `node.id` becomes KAFKA_NODE_ID."""

    def name(key: str) -> str:
        return "KAFKA_" + key.replace("_", "__").replace("-", "___").replace(".", "_").upper()

    return {name(key): value for key, value in settings.items()}
