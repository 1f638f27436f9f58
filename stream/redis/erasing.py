"""Lists of sessions that were erased, out of Redis as well.

A list that answers a later click of the same partition stays. Whatever Redis says, it is asked until it has answered,
for as long as such a list can live there. Each erase is repeated once: a worker that has lost the partition may hand
over a list of before for some seconds more. What a worker that died had not done, who takes its partition over does:
the changelog says which sessions were erased.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from stream.messages.contract import Source, encode
from stream.messages.erasures import digest
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.redis.client import RedisClient
from stream.redis.errors import remedy_for

__all__ = ["ERASE", "RedisErasing"]

log = logging.getLogger(__name__)

# KEYS: where a list may be; ARGV: partition and offset up to which the session is erased, and its id as JSON. 1 where a
# list went. Another session's list stays: `rec:a:b` is of session a:b, or of session a and placement b.
ERASE = """
local held = redis.call('GET', KEYS[1])
if not held or not held:find('"session_id":' .. ARGV[3], 1, true) then
  return 0
end
local partition, offset = held:match('"source":{"topic":"[^"]*","partition":(%d+),"offset":(%d+)}')
if partition == ARGV[1] and tonumber(offset) > tonumber(ARGV[2]) then
  return 0
end
redis.call('DEL', KEYS[1])
return 1
"""
_AGAIN_S = 15.0  # until an erase is repeated: longer than lists wait to be written
_BACKOFF_S = (0.1, 5.0)
_TIMEOUT_S = 1.0


@dataclass(slots=True)
class _Erase:
    session_id: str
    source: Source
    keys: Sequence[str]
    until: float  # of the monotonic clock, when what may be there has gone by itself
    quiet: bool
    due: float = 0.0


class RedisErasing:
    """`put` is for any thread; a thread of its own begins with the first one. `on_erased` hears, in that thread, of a
    session, its source, and how many lists went."""

    def __init__(
        self,
        url: str,
        ttl_s: int,
        metrics: Metrics,
        problems: Problems,
        on_erased: Callable[[str, Source, int], None],
    ) -> None:
        """ConfigError where the URL names no Redis. ttl_s: how long a list stays."""
        self._client = RedisClient(url, timeout_s=_TIMEOUT_S)
        self._ttl_s, self._metrics, self._problems, self._on_erased = ttl_s, metrics, problems, on_erased
        self._new: deque[_Erase] = deque()
        self._again: deque[_Erase] = deque()  # told, by when they are due
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def put(self, session_id: str, source: Source, keys: Sequence[str], *, quiet: bool = False) -> None:
        """Erase the lists of a session under these keys; returns at once. quiet: nobody hears where there are none."""
        now = time.monotonic()
        with self._changed:
            self._new.append(_Erase(session_id, source, keys, now + self._ttl_s, quiet))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="redis-erasing", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Erase what waits, for at most `timeout_s`, and end; what is left is said."""
        deadline = time.monotonic() + timeout_s
        while self._untold() and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s + 2 * _TIMEOUT_S)
        if left := self._untold():
            log.error(
                "the lists of %d erased sessions may still be in Redis: they go within %d s, or by `nextclick erase` "
                "once more",
                *(left, self._ttl_s),
            )
        self._client.close()

    def _untold(self) -> int:
        with self._changed:
            return len(self._new)

    def _run(self) -> None:
        pause = 0.0
        while (waiting := self._next(pause)) is not None:
            pause = self._erase_first(waiting, pause)

    def _next(self, pause: float) -> deque[_Erase] | None:
        """Whose first one is due; None once it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, pause)
            while not self._stopped:
                now = time.monotonic()
                if self._again and self._again[0].due <= now:
                    return self._again
                if self._new:
                    return self._new
                self._changed.wait(self._again[0].due - now if self._again else None)
            return None

    def _erase_first(self, waiting: deque[_Erase], pause: float) -> float:
        """How long to wait until the next one."""
        one = waiting[0]
        args = (one.source.partition, one.source.offset, encode(one.session_id))
        try:
            answers = self._client.run([("EVAL", ERASE, 1, key, *args) for key in one.keys])
            if refused := next((answer for answer in answers if isinstance(answer, Exception)), None):
                raise refused
        except (redis.RedisError, OSError) as error:
            return self._failed(waiting, error, pause)
        lists = sum(answer == 1 for answer in answers)
        self._metrics.redis_erased.inc(lists)
        self._problems.clear("redis_erasures")
        if waiting is self._new:
            one.due = time.monotonic() + _AGAIN_S
            self._again.append(one)
            if lists or not one.quiet:
                self._on_erased(one.session_id, one.source, lists)
        self._drop_first(waiting)
        return 0.0

    def _failed(self, waiting: deque[_Erase], error: Exception, pause: float) -> float:
        one = waiting[0]
        if time.monotonic() > one.until:
            if waiting is self._new:
                log.warning(
                    "lists of erased session %s could not be taken out of Redis: they went by themselves, after %d s",
                    *(digest(one.session_id), self._ttl_s),
                )
            self._drop_first(waiting)
            if not (self._new or self._again):
                self._problems.clear("redis_erasures")
            return 0.0
        self._problems.raise_(
            "redis_erasures",
            f"lists of erased sessions can't be taken out of Redis, and stay for {self._ttl_s:,} s at most: {error}",
            remedy_for(error) or "it is tried again",
        )
        return min(max(2 * pause, _BACKOFF_S[0]), _BACKOFF_S[1])

    def _drop_first(self, waiting: deque[_Erase]) -> None:
        with self._changed:
            waiting.popleft()
