"""Which clicks have been answered, and how long each took: what a storefront sees, from `produce` to the list."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import msgspec
import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


class _Source(msgspec.Struct):
    partition: int
    offset: int


class _Answer(msgspec.Struct):
    session_id: str
    source: _Source
    model: str | None = None


class Answers(threading.Thread):
    """Subscribes to `recommendations` and notes, a session, each list's newest source offset and when it came (s).

    A list answers every click of its session up to its source offset: clicks that shared a micro-batch share a list.
    """

    def __init__(self, bootstrap: str, topic: str = "recommendations", *, from_beginning: bool = False) -> None:
        super().__init__(daemon=True)
        self.lists = 0
        self._published: list[int] = []  # ms, when each list was produced, by its record's timestamp
        self.models: set[str | None] = set()
        self._times: dict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
        self._stopped = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"bench-{time.time_ns()}",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
                "isolation.level": "read_committed",
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=20).topics[topic].partitions
        self._decode = msgspec.json.Decoder(_Answer).decode
        self._consumer.assign([TopicPartition(topic, p, self._start(topic, p, from_beginning)) for p in partitions])
        self.start()

    def _start(self, topic: str, partition: int, from_beginning: bool) -> int:
        """Offset to read from; resolved now, as OFFSET_END would be at the first poll and miss what came before it."""
        if from_beginning:
            return int(OFFSET_BEGINNING)
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)[1])

    def run(self) -> None:
        while not self._stopped.is_set():
            message = self._consumer.poll(0.05)  # returns with the first message; consume(n) waits to have n
            if message is not None and message.error() is None:
                self._published.append(message.timestamp()[1])
                self._note(message.value(), time.perf_counter())
        self._consumer.close()

    def _note(self, value: bytes, now: float) -> None:
        answer = self._decode(value)
        self.lists += 1
        self.models.add(answer.model)
        self._times[answer.session_id, answer.source.partition].append((answer.source.offset, now))

    def latencies(self, sent: list[tuple[str, int, int, float]]) -> np.ndarray:
        """float64 (N,) s from the time a click was due to its list; NaN where none came.

        sent: (session id, partition, offset, perf_counter when due) of each click.
        """
        out = np.full(len(sent), np.nan)
        for row, (session, partition, offset, due) in enumerate(sent):
            times = (at for answered, at in self._times.get((session, partition), ()) if answered >= offset)
            out[row] = next(times, np.nan) - due
        return out

    def published_within_s(self) -> float:
        """Seconds from the first list produced to the last, whenever this subscriber came to read them."""
        return (max(self._published) - min(self._published)) / 1_000

    def close(self) -> None:
        self._stopped.set()
        self.join()
