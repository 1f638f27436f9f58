"""Announcements of models and of experiments: sending them, and reading the topic that holds them.

The topic `models` is compacted and keyed by variant, or by experiment, so that reading it from the beginning yields,
last for each variant, what is to be served, and, last for each experiment, how it stands.
"""

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, Message, Producer

from export.errors import ConfigError
from export.experiments.experiment import Experiment, check_name
from export.registry.registry import Registry, check_variant
from stream.errors import AnnouncementError, BrokerUnavailable, PublishFailed
from stream.kafka.clients import Options, assigned, build_client, consumer_options, producer_options, wait_for_broker
from stream.messages.contract import (
    EXPERIMENT_KEY,
    ModelAnnouncement,
    decode_model_message,
    encode,
    model_message_key,
)

__all__ = ["AnnouncementReader", "announce", "announce_experiment", "announcement_for"]

_LOOK_S = 1.0  # between two looks for a topic that is not there


def announcement_for(registry: Registry, version: str, variant: str = "default") -> ModelAnnouncement:
    """The announcement of a published version, with the hash of its manifest as the registry has it."""
    check_variant(variant)
    return ModelAnnouncement(
        version=version,
        uri=registry.uri(version),
        sha256=registry.manifest_sha256(version),
        variant=variant,
        announced_ts=time.time_ns() // 1_000_000,
    )


def announce(
    bootstrap_servers: str,
    announcement: ModelAnnouncement,
    *,
    topic: str = "models",
    extra: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
) -> None:
    """Send `announcement` and return once the broker has it; BrokerUnavailable or PublishFailed otherwise."""
    _send(bootstrap_servers, announcement, f"version {announcement.version}", topic, extra, timeout_s)


def announce_experiment(
    bootstrap_servers: str,
    experiment: Experiment,
    *,
    topic: str = "models",
    extra: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
) -> None:
    """The same for how an experiment stands from now on; ConfigError where it contradicts itself."""
    _send(bootstrap_servers, experiment.check(), f"experiment {experiment.experiment}", topic, extra, timeout_s)


def _send(
    bootstrap_servers: str,
    message: ModelAnnouncement | Experiment,
    what: str,
    topic: str,
    extra: Mapping[str, str] | None,
    timeout_s: float,
) -> None:
    try:
        wait_for_broker(bootstrap_servers, extra, timeout_s=timeout_s)
    except BrokerUnavailable as error:
        raise type(error)(f"{what} was not announced: {error}") from error
    outcome: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        outcome.append(error)

    options = producer_options(bootstrap_servers, extra, delivery_timeout_s=timeout_s)
    producer: Producer = build_client(Producer, options)
    producer.produce(topic, encode(message), model_message_key(message), on_delivery=delivered)
    producer.flush(timeout_s + 1.0)
    if not outcome or (outcome[0] is not None and outcome[0].code() == KafkaError._MSG_TIMED_OUT):
        raise BrokerUnavailable(
            f"{what} was not announced: no broker at {bootstrap_servers} took it within {timeout_s:g} s"
        )
    if outcome[0] is not None:
        raise PublishFailed(f"{what} was not announced: {outcome[0].str()}")


class AnnouncementReader:
    """Reads the topic from its beginning, without a group. For one thread; the broker is not asked before read().

    `errors` counts messages that were no announcements. An experiment whose record was removed comes as one that was
    stopped, without variants.
    """

    def __init__(self, bootstrap_servers: str, topic: str = "models", extra: Mapping[str, str] | None = None) -> None:
        options: Options = consumer_options(bootstrap_servers, extra) | {"enable.partition.eof": True}
        self._consumer: Consumer = build_client(Consumer, options)
        self._topic = topic
        self._unread: set[int] | None = None  # partitions whose end was not reached; None: not assigned yet
        self._next_look = 0.0
        self.missing = False  # whether the last look found no such topic
        self.errors = 0
        self.last_error: AnnouncementError | None = None

    @property
    def caught_up(self) -> bool:
        """Whether the end of every partition was reached once."""
        return self._unread is not None and not self._unread

    def read(self, timeout_s: float) -> ModelAnnouncement | Experiment | None:
        """The next announcement; None after `timeout_s`, at the end of a partition, or for a message that is none."""
        if self._unread is None and not self._assign(timeout_s):
            return None
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF and self._unread is not None:
                self._unread.discard(message.partition() or 0)
            return None
        return self._decode(message)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _assign(self, timeout_s: float) -> bool:
        wait = min(self._next_look - time.monotonic(), timeout_s)
        if wait > 0:
            time.sleep(wait)
            return False
        self._next_look = time.monotonic() + _LOOK_S
        found = assigned(self._consumer, self._topic, from_beginning=True, timeout_s=max(timeout_s, 1.0))
        self.missing = found is not None and not found
        if not found:
            return False
        self._unread = set(found)
        return True

    def _decode(self, message: Message) -> ModelAnnouncement | Experiment | None:
        value, key = message.value(), message.key()
        if value is None:  # a tombstone. Of a variant: it is withdrawn, what is served stays
            return _removed(key)
        try:
            return decode_model_message(key, value)
        except AnnouncementError as error:
            self.errors += 1
            self.last_error = error
            return None


def _removed(key: bytes | None) -> Experiment | None:
    if key is None or not key.startswith(EXPERIMENT_KEY):
        return None
    try:
        name = check_name(key.removeprefix(EXPERIMENT_KEY).decode())
    except (UnicodeDecodeError, ConfigError):
        return None
    return Experiment(name, (), state="stopped", reason="its record was removed from the topic")
