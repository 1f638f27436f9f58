"""The same lists in Redis: `rec:{session}` with a time to live, beside the topic and never in its way.

A thread of its own writes what waits, many lists a pipeline. Redis may be away at start or later: lists wait a little,
the oldest are dropped and counted, and writing goes on by itself when it is back.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import redis

from export.errors import ConfigError
from stream.ops.metrics import Metrics

__all__ = ["PREFIX", "RedisSink"]

PREFIX = "rec:"
_MAX_LISTS = 65_536  # waiting; batches of light traffic are small, so their number says nothing
_MAX_AGE_S = 10.0  # an older list could overwrite a newer one of the partition's next owner
_PIPELINE_LISTS = 1_024  # at least so many in one pipeline, if they wait
_BACKOFF_S = (0.1, 2.0)  # first and longest pause after a failure
_TIMEOUT_S = 1.0  # of a connection attempt and of an answer

_log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    lists: Sequence[tuple[str, bytes]]
    queued_at: float


class RedisSink:
    """Writes lists to the Redis at `url` (redis://, rediss:// or unix://); ConfigError if that is no such URL."""

    def __init__(self, url: str, ttl_s: int, metrics: Metrics) -> None:
        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, health_check_interval=30
            )
        except ValueError as error:
            raise ConfigError(f"not a Redis URL (redis://host:port/0): {error}") from error
        self._ttl_s, self._metrics = ttl_s, metrics
        self._waiting: deque[_Batch] = deque()
        self._lists = 0  # that wait
        self._writing = False
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._healthy = True
        self._thread = threading.Thread(target=self._run, name="redis-sink", daemon=True)
        self._thread.start()

    def put(self, lists: Sequence[tuple[str, bytes]]) -> None:
        """Hand over a batch of (session id, message); returns at once. The oldest waiting batches make room."""
        if not lists:
            return
        with self._changed:
            self._waiting.append(_Batch(lists, time.monotonic()))
            self._lists += len(lists)
            while self._lists > _MAX_LISTS:
                self._metrics.redis_dropped.inc(self._pop())
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for at most `timeout_s`, and end; what could not be written is counted as dropped."""
        deadline = time.monotonic() + timeout_s
        while self._healthy and (self._waiting or self._writing) and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._changed:
            self._stopped.set()
            self._changed.notify()
        self._thread.join(max(deadline - time.monotonic(), 0.0) + 2 * _TIMEOUT_S)
        with self._changed:
            while self._waiting:
                self._metrics.redis_dropped.inc(self._pop())
        self._client.close()

    def _pop(self) -> int:
        """Forget the oldest batch; the number of its lists."""
        lists = len(self._waiting.popleft().lists)
        self._lists -= lists
        return lists

    def _run(self) -> None:
        while batches := self._take():
            self._write_until_old(batches)
            self._writing = False

    def _take(self) -> deque[_Batch]:
        """The oldest batches that wait, about a pipeline of lists; none once the sink is stopped."""
        taken: deque[_Batch] = deque()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped.is_set())
            size = 0
            while self._waiting and size < _PIPELINE_LISTS and not self._stopped.is_set():
                taken.append(self._waiting[0])
                size += self._pop()
            self._writing = bool(taken)
        return taken

    def _write_until_old(self, batches: deque[_Batch]) -> None:
        """Write the batches; those that get too old before Redis takes them are dropped."""
        pause = _BACKOFF_S[0]
        while batches:
            if self._stopped.is_set() or time.monotonic() - batches[0].queued_at > _MAX_AGE_S:
                self._metrics.redis_dropped.inc(len(batches.popleft().lists))
                continue
            lists = [one for batch in batches for one in batch.lists]
            if self._write(lists):
                self._metrics.redis_written.inc(len(lists))
                return
            self._stopped.wait(pause)
            pause = min(2 * pause, _BACKOFF_S[1])

    def _write(self, lists: Sequence[tuple[str, bytes]]) -> bool:
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for session_id, message in lists:
                    pipeline.set(PREFIX + session_id, message, ex=self._ttl_s)
                pipeline.execute()
        except (redis.RedisError, OSError) as error:
            self._metrics.redis_errors.inc()
            if self._healthy:
                _log.warning("Redis does not take lists, they go to Kafka only: %s", error)
            self._healthy = False
            return False
        if not self._healthy:
            _log.info("Redis takes lists again")
        self._healthy = True
        return True
