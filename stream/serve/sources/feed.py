"""A topic read in a thread of its own, its messages handed to the event loop in small parts.

The loop takes a part in a moment, so that requests wait for nothing; the thread waits where the loop does not keep up.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from confluent_kafka import KafkaException, Message, TopicPartition

from stream.errors import BrokerUnavailable
from stream.items.reader import ItemsReader
from stream.kafka.clients import Options
from stream.kafka.in_process import is_in_process

__all__ = ["Feed", "RecentReader"]

T = TypeVar("T")

log = logging.getLogger(__name__)

_PART = 256  # messages
_AHEAD = 4  # parts that wait for the loop
_POLL_S = 0.2
_ANSWER_S = 10.0
_AGAIN_S = 1.0


class RecentReader(ItemsReader):
    """Reads what was published in the last `window_s` seconds, and on; committed messages only.

    window_s: None: from the beginning; 0: what comes from now on.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        extra: Mapping[str, str] | None = None,
        *,
        window_s: float | None = None,
    ) -> None:
        own: Options = {"isolation.level": "read_committed", "fetch.wait.max.ms": 100, **(extra or {})}
        super().__init__(bootstrap_servers, topic, own)
        self._window_s = window_s

    def _take(self, timeout_s: float) -> list[Message]:
        """What is there: waiting for more would delay it."""
        first = self._consumer.poll(timeout_s)
        return [] if first is None else [first, *self._consumer.consume(_PART - 1, 0)]

    def _first_places(self, partitions: int) -> list[TopicPartition]:
        if self._window_s is None or self.remade:
            return self._places(0, partitions)
        since_ms = max(0, int((time.time() - self._window_s) * 1000))
        asked = [TopicPartition(self._topic, number, since_ms) for number in range(partitions)]
        try:
            if is_in_process(self._consumer.list_topics(timeout=_ANSWER_S).cluster_id):
                return self._places(0, partitions)  # it knows no times
            return list(self._consumer.offsets_for_times(asked, timeout=_ANSWER_S))
        except KafkaException as error:
            self._found = None  # begun with the next look
            raise BrokerUnavailable(f"where {self._topic} is to be read is not told: {error.args[0].str()}") from error


class Feed(Generic[T]):
    """From `start` to `stop`. `decode` is called in the thread, `take` in the event loop; what `decode` gives None
    for was no message of this topic, and is counted in `bad`."""

    def __init__(
        self,
        name: str,
        reader: ItemsReader,
        decode: Callable[[Message], T | None],
        take: Callable[[Sequence[T]], None],
        on_remade: Callable[[], None],
    ) -> None:
        """on_remade: called in the event loop where the topic was made again."""
        self._reader, self._decode, self._take, self._on_remade = reader, decode, take, on_remade
        self._stopped = threading.Event()
        self._room = threading.Semaphore(_AHEAD)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._remade = 0
        self._thread = threading.Thread(target=self._run, name=f"serve-{name}", daemon=True)
        self.read = self.bad = self.lag = 0
        self.caught_up = self.missing = False
        self.trouble = ""
        self.behind_since: float | None = None  # of the monotonic clock, since when it was not at the end

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read, and hand over to this loop."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Read no more. For another thread than the loop's."""
        self._stopped.set()
        self._room.release()
        if self._thread.is_alive():
            self._thread.join()
        self._reader.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._step()
            except Exception as error:  # whatever it is: a feed that ends in silence would serve old lists for ever
                self.trouble = f"reading failed: {error}"
                level = logging.DEBUG if isinstance(error, BrokerUnavailable | KafkaException) else logging.ERROR
                log.log(level, "%s", self.trouble, exc_info=error)
                self._stopped.wait(_AGAIN_S)

    def _step(self) -> None:
        reader = self._reader
        messages = reader.read(_POLL_S)
        if reader.remade != self._remade:
            self._remade = reader.remade
            self._hand_over(self._on_remade)
        if messages:
            found = [one for one in map(self._decode, messages) if one is not None]
            self.read += len(messages)
            self.bad += len(messages) - len(found)
            self._hand_over(lambda: self._take(found))
        self.lag, self.missing, self.trouble = reader.lag(), reader.missing, reader.trouble
        self.caught_up = self.caught_up or (reader.caught_up and not reader.missing)
        if self.lag == 0:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = time.monotonic()

    def _hand_over(self, what: Callable[[], None]) -> None:
        self._room.acquire()
        if self._stopped.is_set() or self._loop is None:
            return

        def run() -> None:
            try:
                what()
            finally:
                self._room.release()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:  # the loop has ended
            self._stopped.set()
