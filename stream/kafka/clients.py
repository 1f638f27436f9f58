"""Settings of the confluent clients, the wait for a broker, and reading a whole topic without a group."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from export.errors import ConfigError
from export.id_lists import read_lines
from stream.errors import AccessRefused, BrokerUnavailable
from stream.formats.config import split_formats
from stream.kafka.sasl import librdkafka_options

__all__ = [
    "Options",
    "admin_options",
    "assign_all",
    "assigned",
    "build_client",
    "consumer_options",
    "formatted",
    "parse_options",
    "prepare_format",
    "producer_options",
    "read_options",
    "transactional_options",
    "wait_for_broker",
]

Options = dict[str, Any]
Client = TypeVar("Client")
_NOTICE_S = 5.0  # between two messages while a broker is awaited
_TRANSACTION_S = 30.0  # for a broker to be restarted; Kafka's own default is a minute
_REFUSED_S = 3.0  # of nothing but refusals; a broker that is starting may refuse whom it knows later
_VARIABLES, _FILE_VARIABLE = "NEXTCLICK_KAFKA_", "NEXTCLICK_KAFKA_CONFIG"  # the latter names the file
_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_AUTHORIZATION_FAILED)
_FORMATS = "nextclick.formats"  # among the options of a client that is built here: what its values are translated by
_RESERVED = frozenset({"bootstrap.servers", "partitioner", "enable.idempotence", "group.id", "transactional.id"})


def parse_options(pairs: Sequence[str]) -> dict[str, str]:
    """`key=value` pairs of the command line as client options; ConfigError where one is not a pair or is reserved.

    The value may hold further `=`. Errors name the key only, as a value may be a password.
    """
    return dict(_parse_pair(pair, "a client option") for pair in pairs)


def read_options(
    pairs: Sequence[str], file: Path | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Client options from all places; the command line wins over the environment, which wins over the file.

    file: key=value lines; empty lines and those that start with `#` are left out. environment: of the variable
    NEXTCLICK_KAFKA_SASL_PASSWORD comes sasl.password. ConfigError names places and keys, never a value.
    """
    options = _read_file(file) if file is not None else {}
    for name, value in (environment or {}).items():
        if name.startswith(_VARIABLES) and name != _FILE_VARIABLE:
            key = name.removeprefix(_VARIABLES).lower().replace("_", ".")
            options.update([_parse_pair(f"{key}={value}", name)])
    return options | parse_options(pairs)


def _read_file(path: Path) -> dict[str, str]:
    numbered = [(number, line.strip()) for number, line in enumerate(read_lines(path, "the client options"), 1)]
    kept = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    return dict(_parse_pair(line, f"line {number} of {path}") for number, line in kept)


def _parse_pair(text: str, place: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key or any(letter.isspace() for letter in key):
        raise ConfigError(f"{place} has not the form key=value, for example security.protocol=SSL")
    if key in _RESERVED:
        raise ConfigError(f"the client option {key} is set by nextclick itself")
    return key, value.strip()


def admin_options(bootstrap_servers: str, extra: Mapping[str, str] | None = None) -> Options:
    """Options of a client that makes and describes topics; ConfigError where the way to say who we are is not known."""
    return _common(bootstrap_servers, extra)


def _common(bootstrap_servers: str, extra: Mapping[str, str] | None) -> Options:
    extra, formats = split_formats(extra or {})
    found = {} if formats is None else {_FORMATS: formats}
    return {
        **found,
        "bootstrap.servers": bootstrap_servers,
        "client.id": "nextclick",
        "socket.timeout.ms": 10_000,  # the default of a minute hides a dead broker
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 2,  # what matters arrives through error_cb and the results
        **librdkafka_options(bootstrap_servers, extra),
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


def transactional_options(bootstrap_servers: str, extra: Mapping[str, str] | None = None) -> Options:
    """Options of producers whose messages appear in transactions; each gets its `transactional.id` besides.

    The broker ends a transaction that stays open for `transaction.timeout.ms`. That must be above a broker's restart,
    or a transaction that only had to wait is lost, and with it the producer's place; and it bounds for how long the
    last transaction of a dead worker, whom nobody succeeds, hides what follows it from readers of committed messages.
    No message is given up sooner: a zombie's can do no harm, as the broker refuses them.
    """
    own = {
        "linger.ms": "0",  # the end of a transaction sends what waits; with a linger each takes twice the time
        "transaction.timeout.ms": str(int(_TRANSACTION_S * 1000)),
    }
    return producer_options(bootstrap_servers, {**own, **(extra or {})}, delivery_timeout_s=_TRANSACTION_S)


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
    """A client of `kind` (Producer, Consumer, AdminClient); ConfigError where librdkafka refuses an option,
    BrokerUnavailable where a token is needed and none can be had."""
    ask = options.get("oauth_cb")
    if ask is not None and ask("")[1] < time.time():  # the client would wait for ten seconds, and fail in other words
        raise BrokerUnavailable("no token can be had to show to the brokers: see the warning before")
    try:
        return formatted(kind, options) if kind in (Consumer, Producer, AdminClient) else kind(options)
    except (KafkaException, TypeError, ValueError) as error:
        raise ConfigError(f"a Kafka client option is wrong: {_words(error)}") from error


def formatted(kind: Callable[[Options], Client], options: Mapping[str, Any]) -> Client:
    """One of confluent's clients, by options of this module: where they say so, one whose values are the contract's
    JSON while the topic has another format. ConfigError where a format can't be used."""
    rest = dict(options)
    formats = rest.pop(_FORMATS, None)
    if formats is None or kind not in (Consumer, Producer):
        return kind(rest)
    from stream.formats.clients import FormattedConsumer, FormattedProducer
    from stream.formats.values import values_of

    wrapped: Any = FormattedProducer if kind is Producer else FormattedConsumer
    found: Client = wrapped(rest, values_of(formats))
    return found


def prepare_format(extra: Mapping[str, str] | None, topic: str) -> None:
    """Before anything is written to a topic: ConfigError or SchemaRegistryAway where its format can't be written."""
    _, formats = split_formats(extra or {})
    if formats is not None:
        from stream.formats.values import values_of

        values_of(formats).prepare(topic)


def wait_for_broker(
    bootstrap_servers: str,
    extra: Mapping[str, str] | None = None,
    *,
    timeout_s: float | None = None,
    on_wait: Callable[[str], None] | None = None,
    stopped: threading.Event | None = None,
) -> None:
    """Return once a broker answers; BrokerUnavailable after `timeout_s` (None: never) or once `stopped` is set.

    AccessRefused within seconds where a password or a certificate is refused, which no waiting mends. `on_wait` hears,
    every few seconds, which address is tried and why it does not answer.
    """
    reason = "no answer"
    refused_at: float | None = None

    def note(error: KafkaError) -> None:
        nonlocal reason, refused_at
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            return
        reason = error.str()
        if error.code() not in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            refused_at = None
        elif refused_at is None:
            refused_at = time.monotonic()

    options = {**_common(bootstrap_servers, extra), "error_cb": note}
    client: Any = None
    begun = time.monotonic()
    noticed = begun - _NOTICE_S
    while True:
        try:
            client = client or build_client(AdminClient, options)
            if client.list_topics(timeout=1.0).brokers:
                return
        except BrokerUnavailable as error:
            reason = str(error)
            time.sleep(1.0)
        except KafkaException:
            client.poll(0)  # runs note()
        now = time.monotonic()
        if refused_at is not None and now - refused_at >= _REFUSED_S:
            raise AccessRefused(f"the broker at {bootstrap_servers} and this client do not trust each other: {reason}")
        if stopped is not None and stopped.is_set():
            raise BrokerUnavailable(f"stopped while waiting for a broker at {bootstrap_servers}")
        if timeout_s is not None and now - begun >= timeout_s:
            raise BrokerUnavailable(f"no Kafka broker at {bootstrap_servers} within {timeout_s:g} s: {reason}")
        if on_wait is not None and now - noticed >= _NOTICE_S:
            on_wait(f"waiting for a Kafka broker at {bootstrap_servers}: {reason}")
            noticed = now


def assign_all(consumer: Consumer, topic: str, *, from_beginning: bool, timeout_s: float = 5.0) -> bool:
    """Assign all partitions of `topic` to `consumer`; False while there is no such topic, or no answer."""
    return bool(assigned(consumer, topic, from_beginning=from_beginning, timeout_s=timeout_s))


def assigned(consumer: Consumer, topic: str, *, from_beginning: bool, timeout_s: float) -> list[int] | None:
    """As `assign_all`; the partitions assigned, none where there is no such topic (for us), None without an answer."""
    try:
        found = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
    except KafkaException:
        return None
    if found.error is not None or not found.partitions:
        return None if found.error is not None and found.error.code() not in _NO_TOPIC else []
    start = OFFSET_BEGINNING if from_beginning else OFFSET_END
    consumer.assign([TopicPartition(topic, number, start) for number in found.partitions])
    return list(found.partitions)


def _words(error: BaseException) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(error)
