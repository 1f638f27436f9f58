"""Kafka clients whose values are the contract's JSON, whatever the topics hold: the one place where readers and writers
beside the worker's consumer meet the formats.

A consumer reads no further than to a message whose schema it can't have now: what comes behind waits with it, in order,
and the registry is asked again. What can't be read at all is handed over as it is, and breaks the rule `undecodable`.
"""

import logging
import time
from collections import deque
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from export.errors import NextclickError
from stream.errors import BadClick, SchemaRegistryAway
from stream.formats.away import read_on, waits_for_schema
from stream.formats.values import Values

__all__ = ["FormattedConsumer", "FormattedProducer"]

log = logging.getLogger(__name__)

_RETRY_S = 1.0  # between two questions to a registry that is away
_SAID_S = 60.0


class FormattedConsumer(Consumer):
    """`consume` and `poll` as ever; for one thread."""

    def __init__(self, options: dict[str, Any], values: Values) -> None:
        super().__init__(options)
        self._values = values
        self._kept: deque[Message] = deque()  # of those that were read, from the first that waits for a schema on
        self._ask_at = self._said_at = 0.0
        self.waited = 0  # messages that waited for a schema

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """Up to so many, and whatever waited; none while a schema can't be had."""
        if self._kept:
            return self._readable(timeout)
        self._kept.extend(super().consume(num_messages, timeout))
        return self._readable(0.0)

    def poll(self, timeout: float = -1) -> Message | None:
        """The next one; None as well while its schema can't be had."""
        if not self._kept:
            message = super().poll(timeout)
            if message is None:
                return None
            self._kept.append(message)
            timeout = 0.0
        found = self._readable(timeout, most=1)
        return found[0] if found else None

    def assign(self, partitions: Any) -> None:
        """As ever; what was kept is of other places."""
        self._forget()
        super().assign(partitions)

    def unassign(self) -> None:
        """As ever; nothing is kept."""
        self._forget()
        super().unassign()

    def seek(self, partition: Any) -> None:
        """As ever; what was kept of the partition is of another place."""
        place = partition.topic, partition.partition
        self._kept = deque(one for one in self._kept if (one.topic(), one.partition()) != place)
        super().seek(partition)

    def position(self, partitions: Any) -> Any:
        """As ever; what is kept was not read yet."""
        found = super().position(partitions)
        for one in found:
            kept = (it for it in self._kept if (it.topic(), it.partition()) == (one.topic, one.partition))
            if (first := next(kept, None)) is not None:
                one.offset = first.offset()
        return found

    def _forget(self) -> None:
        for message in self._kept:
            read_on(message.topic())
        self._kept.clear()

    def _readable(self, timeout: float, most: int = -1) -> list[Message]:
        found: list[Message] = []
        while self._kept and len(found) != most:
            if not self._translated(self._kept[0], timeout if not found else 0.0):
                self.waited += not found
                break
            found.append(self._kept.popleft())
        return found

    def _translated(self, message: Message, timeout: float) -> bool:
        """Whether a message is JSON now, or what can't be read; False where that is not known yet."""
        topic, value = message.topic(), message.value()
        if message.error() is not None or value is None or not self._values.is_of(topic):
            return True
        number = self._values.missing(topic, value)
        if number is not None and not self._fetched(topic, number, timeout):
            return False
        try:
            message.set_value(self._values.to_json(topic, value))
        except BadClick as error:
            log.debug("offset %s of %s-%s: %s", message.offset(), topic, message.partition(), error)
        return True

    def _fetched(self, topic: str, number: int, timeout: float) -> bool:
        if (wait := self._ask_at - time.monotonic()) > 0:
            time.sleep(min(wait, max(timeout, 0.0)))
            if wait > timeout:
                return False
        try:
            self._values.fetch(topic, number)
        except SchemaRegistryAway as error:
            now = time.monotonic()
            self._ask_at = now + _RETRY_S
            waits_for_schema(topic, f"{topic} is read no further for want of schema {number}: {error}")
            if now - self._said_at > _SAID_S:
                self._said_at = now
                log.warning("%s is read no further for want of schema %d: %s; it is asked again", topic, number, error)
            return False
        if self._said_at:
            self._said_at = 0.0
            read_on(topic)
            log.info("%s is read on", topic)
        return True


class FormattedProducer(Producer):
    """`produce` as ever: what goes to the topics of clicks and lists becomes what was said of them."""

    def __init__(self, options: dict[str, Any], values: Values) -> None:
        super().__init__(options)
        self._values = values

    def produce(self, topic: str, value: Any = None, *others: Any, **named: Any) -> None:
        """KafkaException where the value does not fit the schema, or there is none."""
        if value is not None and self._values.is_of(topic):
            try:
                value = self._values.from_json(topic, value)
            except (ValueError, NextclickError) as error:
                raise KafkaException(KafkaError(KafkaError._VALUE_SERIALIZATION, str(error))) from error
        super().produce(topic, value, *others, **named)
