"""Publishing similar items: one record for each item of the model, those only that changed, and the same in Redis.

Items that are not available have a list all the same, as their pages may still be seen. An item that the model no
longer knows gets a tombstone, and its key in Redis goes.
"""

import logging
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec
import numpy as np
import redis
from confluent_kafka import Consumer, KafkaError
from numpy.typing import NDArray

from export.policy.similar import SimilarList, SimilarLists
from stream.errors import PublishFailed, TopicError
from stream.kafka.clients import assigned, build_client, consumer_options
from stream.kafka.sender import Sender
from stream.messages.contract import encode, recommended
from stream.messages.similar import SimilarItems
from stream.redis.client import RedisClient
from stream.redis.errors import remedy_for
from stream.topic_names import Topics

__all__ = ["KEY", "Published", "SimilarPublisher"]

KEY = "similar:"  # before the item id, in Redis
_PIPELINE = 1_000  # lists of one exchange with Redis
_TIMEOUT_S = 5.0
_SILENCE_S = 30.0  # of the topic, after which reading its keys fails

log = logging.getLogger(__name__)


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn did; all of it is confirmed."""

    model: str
    items: int  # whose lists were made: those of the model, or some
    sent: int  # lists, which are new or others than before
    gone: int  # items that the model no longer knows
    short: int  # lists of fewer than K items: nothing else may be shown
    filled: int  # lists with items that do not pass their filter
    unfiltered: int  # lists without their filter: the item has no value of the attribute that it compares
    hidden: int  # items of the model that may not be shown
    seconds: float

    def plus(self, more: "Published") -> "Published":
        """Return what two parts of a turn did together."""
        return Published(
            model=more.model,
            items=self.items + more.items,
            sent=self.sent + more.sent,
            gone=self.gone + more.gone,
            short=self.short + more.short,
            filled=self.filled + more.filled,
            unfiltered=self.unfiltered + more.unfiltered,
            hidden=more.hidden,
            seconds=self.seconds + more.seconds,
        )


class SimilarPublisher:
    """For one thread. It remembers what it published, and reads at first which items the topic has."""

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics = Topics(),
        extra: Mapping[str, str] | None = None,
        *,
        redis_url: str | None = None,
    ) -> None:
        """ConfigError for what is no URL of Redis. The broker is not asked before `publish`."""
        self._servers, self._topics, self._extra = bootstrap_servers, topics, dict(extra or {})
        self._published: dict[str, int] | None = None  # item -> checksum of its list; None: not read yet
        self._redis_has_all = redis_url is None  # it may have been emptied while nobody was here
        self._redis = None if redis_url is None else RedisClient(redis_url, timeout_s=_TIMEOUT_S)

    @property
    def knows(self) -> bool:
        """Whether it knows what is published, so that some lists can be published alone."""
        return self._published is not None and self._redis_has_all

    def publish(self, lists: SimilarLists, only: NDArray[np.int32] | None = None) -> Published:
        """Publish the lists of a model's items; only: of these catalogue ids, where `knows`.

        TopicError without the topic; BrokerUnavailable or PublishFailed where not all is confirmed, also by Redis. What
        was not is sent again by the next call.
        """
        begun, counted = time.monotonic(), replace(lists.counts)
        before = self._read_keys() if self._published is None else self._published
        now: dict[str, int] = {} if only is None else dict(before)
        changed: list[tuple[str, bytes | None]] = []
        redis_has_all, made = self._redis_has_all, 0
        self._published, self._redis_has_all = None, self._redis is None  # not known until all is confirmed
        with Sender(self._servers, self._topics.similar, self._extra, what="lists of similar items") as sender:
            for item_id, found in lists.all() if only is None else lists.some(only):
                made += 1
                checksum = _checksum(found, lists.version)
                now[item_id] = checksum
                is_same = before.get(item_id) == checksum
                if is_same and redis_has_all:
                    continue
                value = encode(_message(item_id, found, lists.version))
                if not is_same:
                    sender.send(_key(item_id), value)
                self._put(changed, item_id, value)
            sent = sender.sent
            for item_id in before.keys() - now.keys():
                sender.send(_key(item_id), None)
                self._put(changed, item_id, None)
            sender.finish()
            gone = sender.sent - sent
        self._write_redis(changed)
        self._published, self._redis_has_all = now, True
        counts = lists.counts
        return Published(
            model=lists.version,
            items=made,
            sent=sent,
            gone=gone,
            short=counts.short - counted.short,
            filled=counts.filled - counted.filled,
            unfiltered=counts.unfiltered - counted.unfiltered,
            hidden=counts.hidden,
            seconds=time.monotonic() - begun,
        )

    def close(self) -> None:
        """Leave Redis."""
        if self._redis is not None:
            self._redis.close()

    def _put(self, changed: list[tuple[str, bytes | None]], item_id: str, value: bytes | None) -> None:
        if self._redis is None:
            return
        changed.append((item_id, value))
        if len(changed) >= _PIPELINE:
            self._write_redis(changed)
            changed.clear()

    def _write_redis(self, changed: Iterable[tuple[str, bytes | None]]) -> None:
        if self._redis is None:
            return
        begin = f"{self._topics.prefix}{KEY}".encode()
        commands = [
            ("DEL", begin + _key(item)) if value is None else ("SET", begin + _key(item), value)
            for item, value in changed
        ]
        try:
            refused = [one for one in self._redis.run(commands) if isinstance(one, Exception)]
            if refused:
                raise refused[0]
        except (redis.RedisError, OSError) as error:
            remedy = remedy_for(error)
            raise PublishFailed(f"Redis did not take similar items: {error}{': ' if remedy else ''}{remedy}") from error

    def _read_keys(self) -> dict[str, int]:
        """Return the items that the topic has lists of, each with the checksum of its list."""
        consumer: Consumer = build_client(
            Consumer, consumer_options(self._servers, self._extra) | {"enable.partition.eof": True}
        )
        found: dict[str, int] = {}
        try:
            unread = set(assigned(consumer, self._topics.similar, from_beginning=True, timeout_s=_TIMEOUT_S) or ())
            if not unread:
                options = f"--bootstrap-servers HOST{self._topics.as_options()}"
                raise TopicError(
                    f"there is no topic {self._topics.similar}; `nextclick topics create {options}` makes it"
                )
            heard = time.monotonic()
            while unread:
                for message in consumer.consume(10_000, 0.2):
                    heard = time.monotonic()
                    error, key = message.error(), message.key()
                    if error is not None and error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
                    elif error is None and key is not None:
                        _note(found, key, message.value())
                if time.monotonic() - heard > _SILENCE_S:
                    raise PublishFailed(f"{self._topics.similar} was not read to its end within {_SILENCE_S:g} s")
        finally:
            consumer.close()
        return found


def _key(item_id: str) -> bytes:
    """The key of a record; of somebody else's, which may be no text, as it was read."""
    return item_id.encode(errors="surrogateescape")


def _note(found: dict[str, int], key: bytes, value: bytes | None) -> None:
    item_id = key.decode(errors="surrogateescape")
    if value is None:
        found.pop(item_id, None)
        return
    try:
        said = msgspec.json.decode(value, type=SimilarItems)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        found[item_id] = 0  # somebody else's: replaced, or removed
        return
    found[item_id] = _checksum([(one.item_id, one.score) for one in said.items], said.model)


def _message(item_id: str, found: SimilarList, model: str) -> SimilarItems:
    return SimilarItems(item_id, recommended(found), model, time.time_ns() // 1_000_000)


def _checksum(found: SimilarList, model: str) -> int:
    return zlib.crc32(msgspec.json.encode((model, found)))
