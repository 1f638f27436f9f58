"""The publisher that keeps the guarantee a worker was started with."""

from collections.abc import Callable

from confluent_kafka import KafkaError

from stream.config import StreamConfig
from stream.guarantee.publisher import IdempotentPublisher, Publisher
from stream.guarantee.transaction_line import TransactionObserver
from stream.guarantee.transactions import TransactionalPublisher
from stream.kafka.clients import build_client, producer_options, transactional_options

__all__ = ["build_publisher"]

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # the broker decides what is too large, not the client


def build_publisher(
    config: StreamConfig, observer: TransactionObserver, on_client_error: Callable[[KafkaError], None]
) -> Publisher:
    """Called on the event loop; ConfigError where librdkafka refuses an option. `on_client_error` hears, in threads of
    the clients, what is not told by a batch's receipt."""
    servers, extra, topic = config.bootstrap_servers, config.kafka, config.changelog_topic
    group = config.consumer_group
    common = {"message.max.bytes": _MAX_MESSAGE_BYTES, "error_cb": on_client_error}
    if config.guarantee == "exactly-once":
        options = {**common, **transactional_options(servers, extra)}
        return build_client(lambda settings: TransactionalPublisher(settings, group, topic, observer), options)
    options = {**common, **producer_options(servers, extra, delivery_timeout_s=config.delivery_timeout_s)}
    return build_client(IdempotentPublisher, options)
