"""Recommendations as they come, read beside the services that use them."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError

from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.clients import assign_all, build_client, consumer_options, wait_for_broker
from stream.messages.contract import Recommendation, decode_recommendation
from stream.topic_names import Topics

__all__ = ["watch"]

_POLL_S = 0.2  # also the delay after `stopped` is set

_log = logging.getLogger(__name__)


def watch(
    bootstrap_servers: str,
    *,
    topics: Topics = Topics(),
    from_beginning: bool = False,
    limit: int | None = None,
    idle_s: float | None = None,
    timeout_s: float = 30.0,
    extra: Mapping[str, str] | None = None,
    stopped: threading.Event | None = None,
) -> Iterator[Recommendation]:
    """Yield recommendations until `limit` of them came, none came for `idle_s`, or `stopped` is set.

    No group is joined and nothing is committed, so that watching takes nothing from anybody. Messages that are no
    recommendations are logged and left out; records without value, of erased sessions, are left out. BrokerUnavailable
    or TopicError where there is nothing to watch within `timeout_s`; BrokerUnavailable on an error of the client that
    does not go away.
    """
    wait_for_broker(bootstrap_servers, extra, timeout_s=timeout_s, stopped=stopped)
    consumer: Consumer = build_client(Consumer, consumer_options(bootstrap_servers, extra, group="nextclick-watch"))
    try:
        _assign(consumer, topics, from_beginning, timeout_s, stopped)
        heard = time.monotonic()
        left = limit
        while (left is None or left > 0) and not (stopped is not None and stopped.is_set()):
            recommendation = _next(consumer)
            if recommendation is not None:
                yield recommendation
                heard = time.monotonic()
                left = None if left is None else left - 1
            elif idle_s is not None and time.monotonic() - heard >= idle_s:
                return
    finally:
        consumer.close()


def _assign(
    consumer: Consumer, topics: Topics, from_beginning: bool, timeout_s: float, stopped: threading.Event | None
) -> None:
    deadline = time.monotonic() + timeout_s
    while not assign_all(consumer, topics.recommendations, from_beginning=from_beginning):
        if time.monotonic() > deadline or (stopped is not None and stopped.is_set()):
            raise TopicError(
                f"there is no topic {topics.recommendations}; "
                f"`nextclick topics create --bootstrap-servers HOST{topics.as_options()}` makes it"
            )
        time.sleep(_POLL_S)


def _next(consumer: Consumer) -> Recommendation | None:
    message = consumer.poll(_POLL_S)
    if message is None:
        return None
    error = message.error()
    if error is not None:
        if error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise BrokerUnavailable(f"the recommendations can't be read: {error.str()}")
        return None
    value = message.value()
    if value is None:  # a session was erased, or its lists were taken back by somebody else
        return None
    try:
        return decode_recommendation(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        _log.warning(
            "offset %s of partition %s is no recommendation: %s", message.offset(), message.partition(), problem
        )
        return None
