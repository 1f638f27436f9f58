"""Settings of the confluent clients, the wait for a broker, and reading a whole topic without a group."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from export.errors import ConfigError
from stream.errors import BrokerUnavailable

__all__ = [
    "Options",
    "assign_all",
    "build_client",
    "consumer_options",
    "parse_options",
    "producer_options",
    "transactional_options",
    "wait_for_broker",
]

Options = dict[str, Any]
Client = TypeVar("Client")
_NOTICE_S = 5.0  # between two messages while a broker is awaited
_RESERVED = frozenset({"bootstrap.servers", "partitioner", "enable.idempotence", "group.id", "transactional.id"})
_TRANSACTION_S = 60.0  # Kafka's own default


def parse_options(pairs: Sequence[str]) -> dict[str, str]:
    """`key=value` pairs of the command line as client options; ConfigError where one is not a pair or is reserved.

    The value may hold further `=`. Errors name the key only, as a value may be a password.
    """
    options: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        key = key.strip()
        if not separator or not key or any(letter.isspace() for letter in key):
            raise ConfigError("a client option has the form key=value, for example security.protocol=SSL")
        if key in _RESERVED:
            raise ConfigError(f"the client option {key} is set by nextclick itself")
        options[key] = value.strip()
    return options


def _common(bootstrap_servers: str, extra: Mapping[str, str] | None) -> Options:
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "nextclick",
        "socket.timeout.ms": 10_000,  # the default of a minute hides a dead broker
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 2,  # what matters arrives through error_cb and the results
        **(extra or {}),
    }


def producer_options(
    bootstrap_servers: str, extra: Mapping[str, str] | None = None, *, delivery_timeout_s: float = 30.0
) -> Options:
    """Options of a producer of keyed messages: confirmed by all replicas, in order, none twice within one life."""
    return {
        "linger.ms": 0.5,  # a batch is handed over at once: longer waits only delay it
        "compression.type": "lz4",
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 262_144,
        **_common(bootstrap_servers, extra),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # as Kafka's Java clients and Faust; librdkafka's default is another
        "message.timeout.ms": int(delivery_timeout_s * 1000),
    }


def transactional_options(
    bootstrap_servers: str, extra: Mapping[str, str] | None = None, *, delivery_timeout_s: float = 30.0
) -> Options:
    """Options of producers whose messages appear in transactions; each gets its `transactional.id` besides.

    The broker ends a transaction that stays open for `transaction.timeout.ms`. That must be well above the delivery
    time-out and a broker's restart, or a transaction that only had to wait is lost, and with it the producer's place;
    and it bounds for how long the last transaction of a dead worker, whom nobody succeeds, hides what follows it from
    readers of committed messages.
    """
    own = {
        "linger.ms": "0",  # the end of a transaction sends what waits; with a linger each takes twice the time
        "transaction.timeout.ms": str(int(max(_TRANSACTION_S, 3 * delivery_timeout_s) * 1000)),
    }
    return producer_options(bootstrap_servers, {**own, **(extra or {})}, delivery_timeout_s=delivery_timeout_s)


def consumer_options(
    bootstrap_servers: str, extra: Mapping[str, str] | None = None, *, group: str = "nextclick-reader"
) -> Options:
    """Options of a consumer that commits nothing; `group` is only a name as long as partitions are assigned by hand."""
    return {
        "fetch.wait.max.ms": 100,
        "auto.offset.reset": "earliest",
        **_common(bootstrap_servers, extra),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }


def build_client(kind: Callable[[Options], Client], options: Options) -> Client:
    """A client of `kind` (Producer, Consumer, AdminClient); ConfigError where librdkafka refuses an option."""
    try:
        return kind(options)
    except (KafkaException, TypeError, ValueError) as error:
        raise ConfigError(f"a Kafka client option is wrong: {_words(error)}") from error


def wait_for_broker(
    bootstrap_servers: str,
    extra: Mapping[str, str] | None = None,
    *,
    timeout_s: float | None = None,
    on_wait: Callable[[str], None] | None = None,
    stopped: threading.Event | None = None,
) -> None:
    """Return once a broker answers; BrokerUnavailable after `timeout_s` (None: never) or once `stopped` is set.

    `on_wait` hears, every few seconds, which address is tried and why it does not answer.
    """
    reason = "no answer"

    def note(error: KafkaError) -> None:
        nonlocal reason
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            reason = error.str()

    client = build_client(AdminClient, {**_common(bootstrap_servers, extra), "error_cb": note})
    begun = time.monotonic()
    noticed = begun - _NOTICE_S
    while True:
        try:
            if client.list_topics(timeout=1.0).brokers:
                return
        except KafkaException:
            client.poll(0)  # runs note()
        now = time.monotonic()
        if stopped is not None and stopped.is_set():
            raise BrokerUnavailable(f"stopped while waiting for a broker at {bootstrap_servers}")
        if timeout_s is not None and now - begun >= timeout_s:
            raise BrokerUnavailable(f"no Kafka broker at {bootstrap_servers} within {timeout_s:g} s: {reason}")
        if on_wait is not None and now - noticed >= _NOTICE_S:
            on_wait(f"waiting for a Kafka broker at {bootstrap_servers}: {reason}")
            noticed = now


def assign_all(consumer: Consumer, topic: str, *, from_beginning: bool, timeout_s: float = 5.0) -> bool:
    """Assign all partitions of `topic` to `consumer`; False while there is no such topic, or no answer."""
    try:
        found = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
    except KafkaException:
        return False
    if found.error is not None or not found.partitions:
        return False
    start = OFFSET_BEGINNING if from_beginning else OFFSET_END
    consumer.assign([TopicPartition(topic, number, start) for number in found.partitions])
    return True


def _words(error: BaseException) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(error)
