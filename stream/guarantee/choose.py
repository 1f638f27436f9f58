"""The guarantee that a worker was started with: the one place that asks which it is."""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError

from stream.config import StreamConfig
from stream.guarantee.at_least_once import AtLeastOnce
from stream.guarantee.exactly_once import ExactlyOnce
from stream.guarantee.guarantee import Group, Guarantee
from stream.guarantee.publisher import IdempotentPublisher
from stream.guarantee.transaction_line import TransactionObserver
from stream.guarantee.transactions import TransactionalPublisher
from stream.kafka.clients import build_client, producer_options, transactional_options
from stream.partition.changelog import ChangelogReader
from stream.partition.owned import OwnedPartition
from stream.partition.recovery import Row

__all__ = ["choose_guarantee"]

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # the broker decides what is too large, not the client


def choose_guarantee(
    config: StreamConfig,
    group: Group,
    *,
    observer: TransactionObserver,
    on_client_error: Callable[[KafkaError], None],
    found: Callable[[OwnedPartition, Sequence[Row]], None],
) -> Guarantee:
    """Called on the event loop; ConfigError where librdkafka refuses an option. `on_client_error` hears, in threads of
    the clients, what is not told by a batch's receipt; `found` of rows that others wrote behind ours."""
    servers, extra, topic = config.bootstrap_servers, config.kafka, config.changelog_topic
    common = {"message.max.bytes": _MAX_MESSAGE_BYTES, "error_cb": on_client_error}
    if config.guarantee == "exactly-once":
        options = {**common, **transactional_options(servers, extra)}
        transactional = build_client(
            lambda it: TransactionalPublisher(it, config.consumer_group, topic, observer), options
        )
        return ExactlyOnce(transactional, topic, group)
    options = {**common, **producer_options(servers, extra, delivery_timeout_s=config.delivery_timeout_s)}
    return AtLeastOnce(
        build_client(IdempotentPublisher, options),
        topic,
        group,
        new_reader=lambda: ChangelogReader(servers, topic, extra),
        found=found,
    )
