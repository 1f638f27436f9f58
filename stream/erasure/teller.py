"""A part's word that it has erased a session: a line of its log, and a message on the topic `erasures`.

The message is a help for who waits for it (`nextclick erase`). It is sent by a thread that begins with the first one,
so that a part that never erases has no client more; where the topic is missing, the log says so and nothing else
suffers.
"""

import logging
import queue
import socket
import threading
import time
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from export.errors import NextclickError
from stream.kafka.clients import build_client, producer_options
from stream.messages.contract import Source, encode
from stream.messages.erasures import Erasure, digest

__all__ = ["ErasureTeller", "erasure_key", "erasure_words"]

log = logging.getLogger(__name__)

_SEND_S = 10.0


class ErasureTeller:
    """Of one part: redis, serve, trainer, scoreboard, feedback. `tell` is for any thread. `told` counts sessions."""

    def __init__(self, part: str, bootstrap_servers: str, topic: str, extra: Mapping[str, str] | None = None) -> None:
        self._part, self._servers, self._topic, self._extra = part, bootstrap_servers, topic, extra
        self._waiting: queue.SimpleQueue[Erasure | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.told = 0
        self.unsent = 0  # messages that the broker does not have

    def tell(self, session_id: str, source: Source, erased: Mapping[str, int]) -> None:
        """A session was erased. erased: what, and how many."""
        log.info("%s", erasure_words(session_id, source, erased))
        with self._lock:
            self.told += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="erasures", daemon=True)
                self._thread.start()
        now = time.time_ns() // 1_000_000
        self._waiting.put(
            Erasure(source=source, part=self._part, host=socket.gethostname(), erased=dict(erased), ts=now)
        )

    def close(self) -> None:
        """Send what waits, and end. May block for some seconds where the broker is away."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join(2 * _SEND_S)

    def _run(self) -> None:
        try:
            options = producer_options(self._servers, self._extra, delivery_timeout_s=_SEND_S)
            producer: Producer = build_client(Producer, options)
        except (NextclickError, KafkaException) as error:
            log.warning("what was erased is in this log only: %s", error)
            return
        while (one := self._waiting.get()) is not None:
            try:
                producer.produce(self._topic, encode(one), erasure_key(one.source), on_delivery=self._sent)
            except (BufferError, KafkaException) as error:
                self._lost(str(error))
            if self._waiting.empty():
                producer.flush(_SEND_S)
        producer.flush(_SEND_S)

    def _sent(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._lost(error.str())

    def _lost(self, why: str) -> None:
        self.unsent += 1
        if self.unsent == 1:
            log.warning(
                "that a session was erased could not be said on the topic %s, and is in this log only: %s. "
                "`nextclick topics create` makes it",
                *(self._topic, why),
            )


def erasure_key(source: Source) -> bytes:
    """Under which key a part tells."""
    return f"{source.topic}-{source.partition}@{source.offset}".encode()


def erasure_words(session_id: str, source: Source, erased: Mapping[str, int]) -> str:
    """The line of a log."""
    what = ", ".join(f"{number:,} {name}" for name, number in erased.items())
    place = f"{source.topic}-{source.partition}, offset {source.offset}"
    return f"erased session {digest(session_id)}: {what or 'nothing of it was here'} ({place})"
