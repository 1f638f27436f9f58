"""The same lists in Redis: `rec:{session}` with a time to live, beside the topic and never in its way.

A thread of its own writes one pipeline a batch. Redis may be away at start or later: lists wait a little, the oldest
are dropped and counted, and writing goes on by itself when it is back.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import redis

from export.errors import ConfigError
from stream.metrics import Metrics

__all__ = ["PREFIX", "RedisSink"]

PREFIX = "rec:"
_MAX_BATCHES = 64  # waiting; about 64 k lists at most
_MAX_AGE_S = 10.0  # an older list could overwrite a newer one of the partition's next owner
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
        self._queue: queue.Queue[_Batch] = queue.Queue(_MAX_BATCHES)
        self._stopped = threading.Event()
        self._healthy = True
        self._thread = threading.Thread(target=self._run, name="redis-sink", daemon=True)
        self._thread.start()

    def put(self, lists: Sequence[tuple[str, bytes]]) -> None:
        """Hand over a batch of (session id, message); returns at once. The oldest waiting batch makes room."""
        batch = _Batch(lists, time.monotonic())
        while lists:
            try:
                return self._queue.put_nowait(batch)
            except queue.Full:
                self._drop_oldest()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for at most `timeout_s`, and end; what could not be written is counted as dropped."""
        deadline = time.monotonic() + timeout_s
        while self._healthy and self._queue.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stopped.set()
        self._thread.join(max(deadline - time.monotonic(), 0.0) + 2 * _TIMEOUT_S)
        while not self._queue.empty():
            self._drop_oldest()
        self._client.close()

    def _drop_oldest(self) -> None:
        try:
            batch = self._queue.get_nowait()
        except queue.Empty:
            return
        self._metrics.redis_dropped.inc(len(batch.lists))
        self._queue.task_done()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                batch = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            written = self._write_until_old(batch)
            (self._metrics.redis_written if written else self._metrics.redis_dropped).inc(len(batch.lists))
            self._queue.task_done()

    def _write_until_old(self, batch: _Batch) -> bool:
        """Whether the batch was written before it got too old."""
        pause = _BACKOFF_S[0]
        while not self._stopped.is_set() and time.monotonic() - batch.queued_at < _MAX_AGE_S:
            if self._write(batch.lists):
                return True
            self._stopped.wait(pause)
            pause = min(2 * pause, _BACKOFF_S[1])
        return False

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
