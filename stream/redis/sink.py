"""The same lists in Redis: `rec:{session}`, or `rec:{session}:{placement}`, with a time to live, beside the topic and
never in its way. The prefix of the topics, where they have one, goes before the key.

A thread of its own writes what waits, many lists a pipeline. Redis may be away at start or later: lists wait a little,
the oldest are dropped and counted, and writing goes on by itself when it is back. Each list of a pipeline has an
answer of its own: where some are taken, those refused (another node's keys in a cluster, no memory left) are dropped
and counted by their reason; where none is, all wait as in an outage, unless they would be refused again. Lists that
Redis took and evicted before their time are told by its own figures. All of it is in /health with the remedy.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import redis

from stream.erasure.teller import ErasureTeller
from stream.messages.contract import Source
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.redis.client import RedisClient
from stream.redis.erasing import RedisErasing
from stream.redis.errors import is_for_good, reason_of, remedy_for
from stream.redis.newest import NEWEST

__all__ = ["PREFIX", "RedisSink"]

PREFIX = "rec:"
_MAX_LISTS = 65_536  # waiting; batches of light traffic are small, so their number says nothing
_MAX_AGE_S = 10.0  # an older list could overwrite a newer one of the partition's next owner
_PIPELINE_LISTS = 1_024  # at least so many in one pipeline, if they wait
_BACKOFF_S = (0.1, 2.0)  # first and longest pause after a failure
_TIMEOUT_S = 1.0  # of a connection attempt and of an answer
_LOOK_S = 10.0  # between two looks at what Redis evicted
_SAID_S = 60.0  # how long a loss is spoken of after it


class _Batch(NamedTuple):
    lists: Sequence[tuple[str, bytes]]
    queued_at: float


class RedisSink:
    """Writes lists to the Redis at `url` (`redis_client.py` has the forms); ConfigError if that is no such URL."""

    def __init__(
        self,
        url: str,
        ttl_s: int,
        metrics: Metrics,
        problems: Problems | None = None,
        *,
        prefix: str = "",
        teller: ErasureTeller | None = None,
    ) -> None:
        """`prefix`: before the keys, as before the names of the topics: shops may share a Redis. `teller` hears of
        sessions whose lists were erased."""
        self._client = RedisClient(url, timeout_s=_TIMEOUT_S)
        self._prefix = prefix + PREFIX
        self._ttl_s, self._metrics, self._problems = ttl_s, metrics, problems or Problems()
        self._teller = teller
        self._erasing = RedisErasing(url, ttl_s, metrics, self._problems, self._erased)
        self._evicted: int | None = None  # keys, by Redis' own count, at the last look
        self._next_look = 0.0
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
                self._drop(self._pop(), f"more than {_MAX_LISTS} waited")
            self._changed.notify()

    def erase(self, session_id: str, source: Source, names: Sequence[str], *, asked_ms: int | None = None) -> None:
        """Erase a session's lists up to a click, those that wait among them; returns at once. names: what `put` had
        them under. asked_ms: it is done again, and was asked for then."""
        if asked_ms is None:  # else those that wait may answer later clicks
            self._forget_waiting(set(names))
        quiet = asked_ms is not None and time.time() - asked_ms / 1000 > self._ttl_s
        self._erasing.put(session_id, source, [self._prefix + name for name in names], quiet=quiet)

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
                self._drop(self._pop(), "the worker ended")
        self._erasing.close(timeout_s)
        if self._teller is not None:
            self._teller.close()
        self._client.close()

    def _erased(self, session_id: str, source: Source, lists: int) -> None:
        if self._teller is not None:
            self._teller.tell(session_id, source, {"lists": lists})

    def _forget_waiting(self, gone: set[str]) -> None:
        with self._changed:
            for place, batch in enumerate(self._waiting):
                left = [one for one in batch.lists if one[0] not in gone]
                self._lists -= len(batch.lists) - len(left)
                self._waiting[place] = batch._replace(lists=left)

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
                why = "the worker ended" if self._stopped.is_set() else f"they waited for more than {_MAX_AGE_S:.0f} s"
                self._drop(len(batches.popleft().lists), why)
                continue
            if self._write([one for batch in batches for one in batch.lists]):
                return
            self._stopped.wait(pause)
            pause = min(2 * pause, _BACKOFF_S[1])

    def _write(self, lists: Sequence[tuple[str, bytes]]) -> bool:
        """Whether Redis has answered for good; False where all of it is to be tried again."""
        if not lists:  # all of them were of erased sessions
            return True
        try:
            answers = self._client.run(
                [("EVAL", NEWEST, 1, self._prefix + session_id, message, self._ttl_s) for session_id, message in lists]
            )
            self._look_at_evictions()
        except (redis.RedisError, OSError) as error:
            return self._failed(error)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        for one in refused:
            self._metrics.redis_refused.labels(reason_of(one)).inc()
        if len(refused) == len(lists) and not any(map(is_for_good, refused)):
            return self._failed(refused[0])
        outdated = sum(answer == 0 for answer in answers)
        self._metrics.redis_outdated.inc(outdated)
        self._metrics.redis_written.inc(len(lists) - len(refused) - outdated)
        if refused:
            self._metrics.redis_errors.inc()
            self._drop(len(refused), "they were refused")
            what = f"Redis refuses lists ({len(refused)} of the last {len(lists)}): {refused[0]}"
            self._problems.raise_("redis_refuses", what, remedy_for(refused[0]), for_s=_SAID_S)
        self._healthy = True
        self._problems.clear("redis_away")
        return True

    def _failed(self, error: Exception) -> bool:
        self._metrics.redis_errors.inc()
        self._healthy = False
        self._problems.raise_(
            "redis_away", f"Redis does not take lists, they go to Kafka only: {error}", remedy_for(error)
        )
        return False

    def _drop(self, lists: int, why: str) -> None:
        self._metrics.redis_dropped.inc(lists)
        if lists and not self._stopped.is_set():
            self._problems.raise_("redis_drops", f"lists are not written to Redis, as {why}", for_s=_SAID_S)

    def _look_at_evictions(self) -> None:
        """Redis forgets keys before their time to live where its memory is full, and tells nobody."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        try:
            evicted = int(self._client.info("stats").get("evicted_keys", 0))
        except (redis.ResponseError, TypeError, ValueError):  # no right to ask, or a proxy that does not know
            return
        if self._evicted is not None and evicted > self._evicted:
            self._metrics.redis_evicted.inc(evicted - self._evicted)
            self._problems.raise_(
                "redis_evicts",
                f"Redis evicted {evicted - self._evicted} keys for want of memory, lists may be gone before their time",
                "raise its maxmemory, or shorten --redis-ttl",
                for_s=_SAID_S,
            )
        self._evicted = evicted
