"""A subscriber of the lists in a process of its own, so that it shares no interpreter with the load.

    python -m bench.measure.subscriber BOOTSTRAP TOPIC OUT

Notes when each list comes; decodes them, and writes them to OUT, only after SIGTERM. Prints `ready` once it reads.
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec
from confluent_kafka import Consumer, TopicPartition

from bench.measure.cluster import ends
from bench.measure.lists import Received, decode_answer
from bench.measure.spans import monotonic
from stream.kafka.clients import consumer_options

_DEADLINE_S = 60.0


class Report(msgspec.Struct, frozen=True):
    """What a subscriber saw, and what that cost."""

    lists: list[Received]
    cpu_s: float  # of CPU time, without start and decoding
    seconds: float


class Subscriber:
    """Runs the process for the length of a `with` block; `lists` and `cpu_share` are there after it."""

    def __init__(self, bootstrap: str, folder: Path, topic: str = "recommendations") -> None:
        self._out = folder / f"lists-{time.time_ns()}.msgpack"
        command = [sys.executable, "-m", "bench.measure.subscriber", bootstrap, topic, str(self._out)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.lists: Sequence[Received] = ()
        self.cpu_share = 0.0  # of one core

    def __enter__(self) -> Subscriber:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("the subscriber ended before it read anything")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(_DEADLINE_S)
        if kind is None:
            report = msgspec.msgpack.decode(self._out.read_bytes(), type=Report)
            self.lists, self.cpu_share = report.lists, report.cpu_s / report.seconds


def main() -> None:
    bootstrap, topic, out = sys.argv[1:]
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    consumer = Consumer({**consumer_options(bootstrap, group="bench-subscriber"), "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, number, end) for number, end in ends(bootstrap, topic).items()])
    print("ready", flush=True)
    noted: list[tuple[bytes, float, int]] = []
    began, used = time.monotonic(), _cpu_s()
    while not stopped:
        message = consumer.poll(0.1)  # returns with the first message; consume(n) waits to have n
        value = message.value() if message is not None and message.error() is None else None
        if value is not None:
            noted.append((value, time.monotonic(), message.timestamp()[1] if message is not None else 0))
    seconds, cpu_s = time.monotonic() - began, _cpu_s() - used
    consumer.close()
    lists = [Received(decode_answer(value), at, monotonic(stamped)) for value, at, stamped in noted]
    Path(out).write_bytes(msgspec.msgpack.encode(Report(lists, cpu_s, seconds)))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
