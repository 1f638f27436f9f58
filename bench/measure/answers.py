"""Which clicks have been answered so far: a subscriber in a thread, for benchmarks that wait for the answers."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from bench.measure.cluster import ends
from bench.measure.lists import Received, decode_answer, latencies
from bench.measure.load import Sent


class Answers(threading.Thread):
    """Subscribes to the lists that come from now on, and notes when each came."""

    def __init__(self, bootstrap: str, topic: str = "recommendations") -> None:
        super().__init__(daemon=True)
        self._received: list[Received] = []
        self._stopped = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-answers",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
                "isolation.level": "read_committed",
            }
        )
        self._consumer.assign([TopicPartition(topic, number, end) for number, end in ends(bootstrap, topic).items()])
        self.start()

    @property
    def lists(self) -> int:
        """How many came."""
        return len(self._received)

    def run(self) -> None:
        while not self._stopped.is_set():
            message = self._consumer.poll(0.05)  # returns with the first message; consume(n) waits to have n
            value = message.value() if message is not None and message.error() is None else None
            if value is not None:
                self._received.append(Received(decode_answer(value), time.monotonic()))
        self._consumer.close()

    def latencies(self, sent: Sent) -> NDArray[np.float64]:
        """float64 (N,) s from the moment each click was due to its list; NaN where none came yet."""
        return latencies(sent, self._received[:])

    def close(self) -> None:
        """Leave the broker."""
        self._stopped.set()
        self.join()


def wait_until_answered(
    answers: Answers, sent: Sent, running: Sequence[subprocess.Popen[bytes]], deadline_s: float
) -> None:
    """Return once every click has a list; a process that ended or a missed deadline raises with what is missing."""
    end = time.monotonic() + deadline_s
    while True:
        missing = int(np.isnan(answers.latencies(sent)).sum())
        if missing == 0:
            return
        if any(process.poll() is not None for process in running):
            raise RuntimeError(f"a process ended with {missing} of {len(sent)} clicks unanswered")
        if time.monotonic() > end:
            raise RuntimeError(f"{missing} of {len(sent)} clicks unanswered after {deadline_s:.0f} s")
        time.sleep(0.5)
