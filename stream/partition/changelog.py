"""Reading a part of the changelog without a group, beside the consumer that feeds the worker."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.kafka.clients import Options, build_client, consumer_options
from stream.partition.recovery import Row

__all__ = ["ChangelogReader"]

_ANSWER_S = 1.0  # for the broker to say where a partition ends
_READ_S = 5.0  # for a part to be read


class _Row(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class ChangelogReader:
    """Blocks: for one thread at a time, and not the event loop's. Everything raises KafkaException where the broker
    does not answer in time."""

    def __init__(self, bootstrap_servers: str, topic: str, extra: Mapping[str, str] | None = None) -> None:
        options: Options = consumer_options(bootstrap_servers, extra) | {"enable.partition.eof": True}
        self._consumer: Consumer = build_client(Consumer, options)
        self._topic = topic

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offset behind the last row of each partition."""
        return {number: self._end(number) for number in partitions}

    def read(self, partition: int, begin: int, end: int) -> list[Row]:
        """The rows of a partition from offset `begin` to below `end`."""
        self._consumer.assign([TopicPartition(self._topic, partition, begin)])
        try:
            return self._read(end)
        finally:
            self._consumer.unassign()

    def _end(self, partition: int) -> int:
        try:
            found = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_ANSWER_S)
        except KafkaException:  # after a restart of the broker it may know of no leader until the broker is asked again
            self._consumer.list_topics(self._topic, timeout=_ANSWER_S)
            raise
        if found is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return int(found[1])

    def _read(self, end: int) -> list[Row]:
        rows: list[Row] = []
        deadline = time.monotonic() + _READ_S
        while time.monotonic() < deadline:
            for message in self._consumer.consume(1000, 0.1):
                error, offset = message.error(), message.offset()
                at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
                if at_end or (offset is not None and offset >= end):
                    return rows
                if error is None:
                    rows.append(_Row(message.key(), message.value(), message.headers() or []))
                    if offset == end - 1:
                        return rows
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
