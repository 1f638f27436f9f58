"""The sessions of a shopper who is known by a user id: those whose clicks name it, as far as the topic still has them.

Nothing that nextclick stores holds user ids, so there is no other place to look. A shop that keys its clicks by user
has one session for each, of that name.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.errors import BadClick, BrokerUnavailable, TopicError
from stream.kafka.clients import build_client, consumer_options
from stream.messages.contract import Click, decode_event
from stream.messages.record_time import sane_record_time_ms

__all__ = ["UserSessions", "sessions_of"]

_ANSWER_S = 10.0
_AT_ONCE = 10_000


class UserSessions(NamedTuple):
    """What was found."""

    sessions: dict[str, set[int]]  # session -> partitions that have clicks of it
    read: int  # messages
    since_ms: int | None  # the time of the oldest one; None where there is none, or it has no time


def sessions_of(
    user_id: str, bootstrap_servers: str, topic: str, extra: Mapping[str, str] | None = None
) -> UserSessions:
    """Read all clicks that there are, up to their present end. TopicError, BrokerUnavailable."""
    options = consumer_options(bootstrap_servers, extra, group="nextclick-erase-user")
    options |= {"isolation.level": "read_committed", "enable.partition.eof": True}
    consumer: Consumer = build_client(Consumer, options)
    try:
        listed = consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic]
        if listed.error is not None:
            raise TopicError(f"there is no topic {topic}; `nextclick topics create` makes it")
        left = dict[int, int]()
        for number in listed.partitions:
            found: Any = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_S)
            if found is None:
                raise BrokerUnavailable(f"{topic} cannot be looked at: no answer within {_ANSWER_S:g} s")
            if found[0] < found[1]:
                left[int(number)] = int(found[1])
        consumer.assign([TopicPartition(topic, number, 0) for number in left])
        return _read(consumer, left, user_id)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} cannot be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _read(consumer: Consumer, left: dict[int, int], user_id: str) -> UserSessions:
    sessions: dict[str, set[int]] = defaultdict(set)
    read, since_ms = 0, None
    plain = user_id.encode() if user_id.isascii() and user_id.isalnum() else b""
    while left:
        for message in consumer.consume(_AT_ONCE, 0.5):
            number, offset, error = message.partition() or 0, message.offset() or 0, message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    left.pop(number, None)
                elif error.fatal():
                    raise BrokerUnavailable(f"the clicks cannot be read: {error.str()}")
                continue
            read += 1
            at_ms = sane_record_time_ms(message.timestamp()[1])
            if at_ms is not None:
                since_ms = at_ms if since_ms is None else min(since_ms, at_ms)
            if offset >= left.get(number, offset + 1) - 1:
                left.pop(number, None)
            value = message.value()
            if value is None or plain not in value:  # which spares most of them the decoding
                continue
            click = _click_of(message)
            if click is not None and click.user_id == user_id:
                sessions[click.session_id].add(number)
    return UserSessions(dict(sessions), read, since_ms)


def _click_of(message: Message) -> Click | None:
    try:
        found = decode_event(message.value(), message.key(), message.timestamp()[1])
    except BadClick:
        return None
    return found if isinstance(found, Click) else None
