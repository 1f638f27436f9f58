"""Which trainer leads: the one to which the group gives partition 0 of the topic `models`.

Kafka's group membership decides, and notices who died; there is no lock that a dead one could hold. A trainer that was
stopped past its time in the group does not know that it lost its place, so before it publishes it asks the broker, by
a commit that only a member may make.
"""

import contextlib
import logging
import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.kafka.clients import build_client, consumer_options

__all__ = ["Lead"]

log = logging.getLogger(__name__)

_POLL_S = 0.2
_ANSWER_S = 10.0  # of the broker; without one we are not sure
_DECIDES = 0  # the partition that makes the leader


class Lead:
    """Keeps the membership on a thread of its own; the rest may be called in any thread."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        group: str,
        extra: Mapping[str, str] | None = None,
        *,
        session_timeout_s: float = 10.0,
    ) -> None:
        options = consumer_options(bootstrap_servers, extra, group=group)
        options |= {
            "session.timeout.ms": int(session_timeout_s * 1000),
            "heartbeat.interval.ms": max(100, int(session_timeout_s * 1000 / 10)),
            "partition.assignment.strategy": "cooperative-sticky",  # who leads goes on leading when another comes
            "max.poll.interval.ms": max(300_000, int(session_timeout_s * 1000)),
        }
        options["on_commit"] = self._committed
        self._topic = topic
        self._consumer: Consumer = build_client(Consumer, options)
        self._asking = threading.Lock()
        self._asked, self._answered = threading.Event(), threading.Event()
        self._sure = False
        self._leads = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lead", daemon=True)

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    @property
    def leads(self) -> bool:
        """Whether the group gave us the lead, as far as we know."""
        return self._leads.is_set()

    def await_lead(self, timeout_s: float) -> bool:
        """Wait for the lead."""
        return self._leads.wait(timeout_s)

    def is_sure(self) -> bool:
        """Whether the broker says, now, that we are the member that leads."""
        with self._asking:
            self._sure = False
            self._answered.clear()
            self._asked.set()
            self._answered.wait(_ANSWER_S)
            return self._sure and self.leads

    def stop(self) -> None:
        """Leave the group at once, so that another may lead."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _run(self) -> None:
        self._consumer.subscribe([self._topic], on_assign=self._given, on_revoke=self._taken, on_lost=self._taken)
        while not self._stopped.is_set():
            self._consumer.poll(_POLL_S)  # what stands in the topic is read by others
            if self._asked.is_set():
                self._asked.clear()
                self._ask()
        self._leads.clear()
        with contextlib.suppress(KafkaException):
            self._consumer.close()

    def _ask(self) -> None:
        """The answer comes to a later poll. A commit that waits for its own would wait for ever: this thread polls."""
        if not self.leads:
            self._answered.set()
            return
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, _DECIDES, 0)], asynchronous=True)
        except KafkaException as error:
            log.warning("the group can't be asked who leads: %s", error.args[0].str())
            self._answered.set()

    def _committed(self, error: KafkaError | None, _partitions: list[TopicPartition]) -> None:
        if error is not None:
            log.warning("the group does not count this trainer as its leader: %s", error.str())
        self._sure = error is None
        self._answered.set()

    def _given(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        if any(one.partition == _DECIDES for one in partitions):
            self._leads.set()

    def _taken(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        with contextlib.suppress(KafkaException):  # lost: there is no assignment left to change
            consumer.incremental_unassign(partitions)
        if any(one.partition == _DECIDES for one in partitions):
            self._leads.clear()
