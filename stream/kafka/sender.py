"""Sending keyed messages to a topic, each confirmed, or an error that says how many were not."""

import time
from collections.abc import Mapping
from types import TracebackType

from confluent_kafka import KafkaError, Message, Producer

from stream.errors import BrokerUnavailable, PublishFailed, TopicError
from stream.kafka.clients import build_client, producer_options, wait_for_broker
from stream.kafka.topics import partition_counts

__all__ = ["Sender"]

_POLL_EVERY = 256  # messages between two looks at the delivery reports


class Sender:
    """A context manager. `finish` returns once the broker has confirmed all that was sent."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        extra: Mapping[str, str] | None = None,
        *,
        what: str = "messages",
        timeout_s: float = 30.0,
        must_exist: bool = True,
    ) -> None:
        """`what` names the messages. BrokerUnavailable or AccessRefused where no broker answers, TopicError where there
        is no such topic and it `must_exist`, as one that the broker would make has not the right settings: nothing is
        sent then."""
        wait_for_broker(bootstrap_servers, extra, timeout_s=timeout_s)
        if must_exist and topic not in partition_counts(bootstrap_servers, extra, timeout_s=timeout_s):
            raise TopicError(
                f"there is no topic {topic}; `nextclick topics create` makes it, with the same options for topics"
            )
        options = producer_options(bootstrap_servers, extra, delivery_timeout_s=timeout_s)
        options |= {"delivery.report.only.error": True, "on_delivery": self._note}
        self._producer: Producer = build_client(Producer, options)
        self._topic, self._what, self._timeout_s = topic, what, timeout_s
        self._failed = 0
        self._error: KafkaError | None = None
        self.sent = 0

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._producer.purge()
        self._producer.flush(1.0)

    def send(self, key: bytes, value: bytes | None) -> None:
        """Hand over one message; PublishFailed where one before it was not confirmed."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer.produce(self._topic, value, key)
                break
            except BufferError as full:  # the broker is slower than we are
                self._producer.poll(0.05)
                self._check()
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(
                        f"the broker took none of the {self._what} for {self._timeout_s:g} s"
                    ) from full
        self.sent += 1
        if self.sent % _POLL_EVERY == 0:
            self.poll()

    def poll(self) -> None:
        """Look at the delivery reports; PublishFailed where a message was not confirmed."""
        self._producer.poll(0)
        self._check()

    def finish(self) -> None:
        """Wait until all is confirmed; PublishFailed, or BrokerUnavailable where the broker says nothing."""
        waiting = self._producer.flush(self._timeout_s + 1.0)
        self._check()
        if waiting:
            raise BrokerUnavailable(f"{waiting} {self._what} were not confirmed within {self._timeout_s:g} s")

    def _note(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed += 1
            self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise PublishFailed(f"{self._failed} of {self.sent} {self._what} were not confirmed: {self._error.str()}")
